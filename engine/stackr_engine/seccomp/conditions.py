"""Tests of a system call's arguments as BPF; arguments have 64 bits, BPF compares 32."""

from dataclasses import dataclass

from stackr_engine.seccomp.bpf import (
    ALU_AND,
    ARGS_OFFSET,
    JEQ,
    JGE,
    JGT,
    LD_W_ABS,
    Block,
    give,
)

OPERATORS = {f"SCMP_CMP_{name}": name for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")}
HERE = 0
PASS = -1
FAIL = -2


@dataclass(frozen=True)
class Condition:
    """One argument compared; for MASKED_EQ `value` is the mask and `second` the wanted rest."""

    index: int
    operator: str
    value: int
    second: int = 0


def alternative(conditions: tuple[Condition, ...], action: int, otherwise: Block) -> Block:
    """Give `action` where all conditions hold, else go on with `otherwise`."""
    tests: Block = []
    for condition in conditions:
        test = _test(condition)
        tests += [_aimed(step, PASS, len(test) - place - 1) for place, step in enumerate(test)]
    block = tests + give(action)
    block = [_aimed(step, FAIL, len(block) - place - 1) for place, step in enumerate(block)]
    return block + otherwise


def _aimed(
    step: tuple[int, int, int, int], target: int, distance: int
) -> tuple[int, int, int, int]:
    code, if_true, if_false, constant = step
    return (
        code,
        distance if if_true == target else if_true,
        distance if if_false == target else if_false,
        constant,
    )


def _test(condition: Condition) -> Block:
    """Return instructions whose jumps are still HERE (go on), PASS or FAIL."""
    high, low = _halves(condition.value)
    offset = ARGS_OFFSET + 8 * condition.index
    load_low, load_high = (LD_W_ABS, 0, 0, offset), (LD_W_ABS, 0, 0, offset + 4)
    match condition.operator:
        case "EQ":
            steps = [(JEQ, HERE, FAIL, high), load_low, (JEQ, HERE, FAIL, low)]
        case "NE":
            steps = [(JEQ, HERE, PASS, high), load_low, (JEQ, FAIL, HERE, low)]
        case "GT" | "GE" as name:
            steps = [(JGT, PASS, HERE, high), (JEQ, HERE, FAIL, high), load_low]
            steps.append((JGT if name == "GT" else JGE, HERE, FAIL, low))
        case "LT" | "LE" as name:
            steps = [(JGT, FAIL, HERE, high), (JEQ, HERE, PASS, high), load_low]
            steps.append((JGE if name == "LT" else JGT, FAIL, HERE, low))
        case "MASKED_EQ":
            wanted_high, wanted_low = _halves(condition.second)
            steps = [(ALU_AND, 0, 0, high), (JEQ, HERE, FAIL, wanted_high), load_low]
            steps += [(ALU_AND, 0, 0, low), (JEQ, HERE, FAIL, wanted_low)]
        case unknown:
            raise ValueError(f"no such comparison: {unknown}")
    return [load_high, *steps]


def _halves(value: int) -> tuple[int, int]:
    return value >> 32 & 0xFFFFFFFF, value & 0xFFFFFFFF
