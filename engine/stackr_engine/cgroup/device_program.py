"""Device rules on cgroup v2: a small eBPF program that the kernel asks at every open and mknod.

Sources: linux/bpf.h, and bpf(2) for the calls.
"""

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence

from stackr_schemas.errors import StackrError

from stackr_engine.cgroup.devices import DeviceRule
from stackr_engine.seccomp.architectures import native, numbers

BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8
BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE = 15, 6
BPF_F_ALLOW_MULTI = 2
TYPES = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
ALL_ACCESS = 7

# Registers: the context, then its parts; see `struct bpf_cgroup_dev_ctx`.
R0, CONTEXT, TYPE, WANTED, MAJOR, MINOR, SCRATCH = 0, 1, 2, 3, 4, 5, 6
LOAD_WORD, MOVE, MOVE_REGISTER = 0x61, 0xB7, 0xBF
AND, SHIFT_RIGHT = 0x57, 0x77
JUMP_NOT_EQUAL, JUMP_NOT_EQUAL_REGISTER, EXIT = 0x55, 0x5D, 0x95


def _instruction(
    code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
) -> bytes:
    return struct.pack("=BBhi", code, source << 4 | target, offset, value)


_HEAD = (
    _instruction(LOAD_WORD, TYPE, CONTEXT, 0),
    _instruction(MOVE_REGISTER, WANTED, TYPE),
    _instruction(AND, TYPE, value=0xFFFF),
    _instruction(SHIFT_RIGHT, WANTED, value=16),
    _instruction(LOAD_WORD, MAJOR, CONTEXT, 4),
    _instruction(LOAD_WORD, MINOR, CONTEXT, 8),
)


def program(rules: Iterable[DeviceRule]) -> bytes:
    """Return the instructions that allow what any rule allows, and nothing else."""
    merged: dict[tuple[str, int | None, int | None], int] = {}
    for rule in rules:
        key = (rule.type, rule.major, rule.minor)
        merged[key] = merged.get(key, 0) | sum(ACCESS[letter] for letter in set(rule.access))
    blocks = [_block(*key, access) for key, access in merged.items()]
    return b"".join((*_HEAD, *blocks, *_give(0)))


def _block(kind: str, major: int | None, minor: int | None, access: int) -> bytes:
    """Test one rule: each test that fails jumps over the rest of the block."""
    tests = [(JUMP_NOT_EQUAL, TYPE, 0, TYPES[kind])]
    if access != ALL_ACCESS:
        tests += [(MOVE_REGISTER, SCRATCH, WANTED, 0), (AND, SCRATCH, 0, access)]
        tests += [(JUMP_NOT_EQUAL_REGISTER, SCRATCH, WANTED, 0)]
    tests += [(JUMP_NOT_EQUAL, MAJOR, 0, major)] if major is not None else []
    tests += [(JUMP_NOT_EQUAL, MINOR, 0, minor)] if minor is not None else []
    length = len(tests) + 2
    jumps = (JUMP_NOT_EQUAL, JUMP_NOT_EQUAL_REGISTER)
    block = [
        _instruction(code, target, source, length - place - 1 if code in jumps else 0, value)
        for place, (code, target, source, value) in enumerate(tests)
    ]
    return b"".join((*block, *_give(1)))


def _give(value: int) -> tuple[bytes, bytes]:
    return _instruction(MOVE, R0, value=value), _instruction(EXIT)


def attach(group: str, rules: Sequence[DeviceRule]) -> None:
    """Let the kernel ask a program of these rules for all processes in a group's folder.

    The program goes when the group goes.
    """
    fd = _load(program(rules))
    folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attributes = (folder, fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)
        _bpf(BPF_PROG_ATTACH, struct.pack("=IIII", *attributes))
    finally:
        os.close(folder)
        os.close(fd)


def _load(instructions: bytes) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    head = (BPF_PROG_TYPE_CGROUP_DEVICE, len(instructions) // 8)
    attributes = struct.pack("=IIQQ", *head, ctypes.addressof(code), ctypes.addressof(license_))
    return _bpf(BPF_PROG_LOAD, attributes.ljust(72, b"\0"))


def _bpf(command: int, attributes: bytes) -> int:
    """Call bpf(2), which has no function in the C library."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = numbers(native().name)["bpf"]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = libc.syscall(ctypes.c_long(number), command, buffer, len(attributes))
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise StackrError(
            f"the container's device rules cannot be set: bpf(2): {reason}",
            hint="cgroup v2 needs a kernel with CONFIG_CGROUP_BPF and the right to load programs",
        )
    return result
