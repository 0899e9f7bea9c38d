"""Assembles classic BPF programs for seccomp: blocks of instructions that end every path.

A block is a list of (code, jump if true, jump if false, constant); each path through it ends in
a return, so that blocks can stand one behind the other. Source: linux/filter.h, linux/seccomp.h.
"""

import struct

Instruction = tuple[int, int, int, int]
Block = list[Instruction]

LD_W_ABS, JMP_JA, RET_K, ALU_AND = 0x20, 0x05, 0x06, 0x54
JEQ, JGT, JGE = 0x15, 0x25, 0x35
MAX_INSTRUCTIONS = 4096
MAX_JUMP = 255

NR_OFFSET, ARCH_OFFSET, ARGS_OFFSET = 0, 4, 16


def load(offset: int) -> Block:
    """Load a 32-bit word of `struct seccomp_data`."""
    return [(LD_W_ABS, 0, 0, offset)]


def give(action: int) -> Block:
    """End the program with a SECCOMP_RET_ value."""
    return [(RET_K, 0, 0, action)]


def branch(code: int, constant: int, if_false: Block, if_true: Block) -> Block:
    """Go to one of two blocks, however far the second is."""
    if len(if_false) <= MAX_JUMP:
        return [(code, len(if_false), 0, constant), *if_false, *if_true]
    far = (JMP_JA, 0, 0, len(if_false))
    return [(code, 0, 1, constant), far, *if_false, *if_true]


def search(starts: list[tuple[int, Block]]) -> Block:
    """Search the loaded number among ranges, each given by its first number; the first is 0."""
    if len(starts) == 1:
        return starts[0][1]
    middle = len(starts) // 2
    return branch(JGE, starts[middle][0], search(starts[:middle]), search(starts[middle:]))


def assemble(block: Block) -> bytes:
    """Return the program as an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in block)
