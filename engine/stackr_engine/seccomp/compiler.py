"""Compiles an OCI `linux.seccomp` object to a BPF program, without libseccomp.

For each architecture the call's number is searched among ranges of equal outcome, so that any
call costs about eight comparisons. Calls newer than every call that the profile names answer
ENOSYS instead of EPERM, as with runc: programs then fall back to the older call.
"""

from collections.abc import Iterable
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.seccomp import bpf
from stackr_engine.seccomp.architectures import (
    BY_SCMP,
    X32_BIT,
    Architecture,
    native,
    numbers,
)
from stackr_engine.seccomp.conditions import alternative
from stackr_engine.seccomp.rules import (
    ENOSYS,
    KILL_THREAD,
    PERMISSIVE,
    Rule,
    action_value,
    rules_in,
)

# SECCOMP_FILTER_FLAG_ values of linux/seccomp.h.
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}


def flags(profile: dict[str, Any]) -> int:
    """Return the flags for seccomp(2); a profile that names none gets SPEC_ALLOW, as with runc."""
    names = profile.get("flags")
    if names is None:
        names = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    unknown = [name for name in names if name not in _FLAGS]
    if unknown:
        raise StackrError(f"unknown seccomp flag {unknown[0]!r}")
    return sum({_FLAGS[name] for name in names})


def compile_profile(profile: dict[str, Any], arch: str | None = None) -> bytes:
    """Return an array of `struct sock_filter` for `arch` (`x86_64`, `aarch64`; this machine's).

    Raise StackrError where the profile asks for what is not supported. Calls that an
    architecture does not have are left out; calls of architectures not named kill the thread.
    """
    default = action_value(profile["defaultAction"], profile.get("defaultErrnoRet"))
    rules = rules_in(profile, default)
    by_audit: dict[int, list[Architecture]] = {}
    for one in _architectures(profile.get("architectures") or (), native(arch)):
        by_audit.setdefault(one.audit, []).append(one)
    block = bpf.give(KILL_THREAD)
    for audit, archs in reversed(by_audit.items()):
        calls = bpf.load(bpf.NR_OFFSET) + bpf.search(_ranges(archs, rules, default))
        block = bpf.branch(bpf.JEQ, audit, block, calls)
    block = bpf.load(bpf.ARCH_OFFSET) + block
    if len(block) > bpf.MAX_INSTRUCTIONS:
        raise StackrError(
            f"the seccomp profile needs {len(block)} instructions, the kernel takes 4096",
            hint="use fewer argument conditions",
        )
    return bpf.assemble(block)


def _architectures(names: Iterable[str], own: Architecture) -> list[Architecture]:
    """The native one first; those of other machines are of no use here."""
    wanted = {BY_SCMP[name].name for name in names if name in BY_SCMP}
    return [own, *(BY_SCMP[f"SCMP_ARCH_{sub.upper()}"] for sub in own.subs if sub in wanted)]


def _ranges(
    archs: list[Architecture], rules: list[Rule], default: int
) -> list[tuple[int, bpf.Block]]:
    """Split all numbers of one audit architecture into ranges of equal outcome."""
    outcomes: dict[int, bpf.Block] = {}
    for arch in archs:
        first = X32_BIT if arch.name == "x32" else 0
        outcomes |= _outcomes(numbers(arch.name), first, rules, default)
    if archs[0].name == "x86_64" and len(archs) == 1:
        outcomes[X32_BIT] = bpf.give(KILL_THREAD)
    ranges: list[tuple[int, bpf.Block]] = []
    for number, block in sorted(outcomes.items()):
        if not ranges or ranges[-1][1] != block:
            ranges.append((number, block))
    return ranges


def _outcomes(
    table: dict[str, int], first: int, rules: list[Rule], default: int
) -> dict[int, bpf.Block]:
    """Say what each number from `first` on leads to; the last stands for all above it."""
    by_number: dict[int, list[Rule]] = {}
    for rule in rules:
        for name in rule.names:
            if name in table:
                by_number.setdefault(table[name], []).append(rule)
    # Arm has a few private calls far above all others; they do not make the others old.
    ordinary = (number for number in by_number if number < first + 4096)
    end = max(ordinary, default=first - 1) + 1
    otherwise = bpf.give(default)
    beyond = bpf.give(default if default in PERMISSIVE else ENOSYS)
    outcomes = {first: otherwise, end: beyond}
    outcomes |= {number + 1: otherwise if number < end - 1 else beyond for number in by_number}
    return outcomes | {number: _outcome(found, default) for number, found in by_number.items()}


def _outcome(rules: list[Rule], default: int) -> bpf.Block:
    """An unconditional rule wins, as in libseccomp; else the first whose conditions hold."""
    for rule in rules:
        if not rule.conditions:
            return bpf.give(rule.action)
    block = bpf.give(default)
    for rule in reversed(rules):
        block = alternative(rule.conditions, rule.action, block)
    return block
