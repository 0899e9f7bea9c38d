"""A classic BPF machine, as small as seccomp needs: tells what a filter answers to a call."""

import struct

from stackr_engine.seccomp.architectures import BY_NAME


def run(program: bytes, arch: str, number: int, *args: int) -> int:
    """Return the SECCOMP_RET_ value for a call; the kernel's own rules about programs are kept."""
    data = struct.pack("=IIQ", number, BY_NAME[arch].audit, 0)
    data += struct.pack("=6Q", *(*args, *(0,) * (6 - len(args))))
    accumulator = 0
    place = 0
    while True:
        code, if_true, if_false, constant = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        match code:
            case 0x20:
                assert constant % 4 == 0
                (accumulator,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                accumulator &= constant
            case 0x05:
                place += constant
            case 0x15:
                place += if_true if accumulator == constant else if_false
            case 0x25:
                place += if_true if accumulator > constant else if_false
            case 0x35:
                place += if_true if accumulator >= constant else if_false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"instruction {code:#x}")
