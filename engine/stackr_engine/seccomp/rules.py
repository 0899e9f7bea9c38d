"""Reads an OCI `linux.seccomp` object into rules, and says what each is worth to the kernel."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.seccomp.conditions import OPERATORS, Condition

# SECCOMP_RET_ values of linux/seccomp.h.
KILL_THREAD = 0x00000000
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
ENOSYS = ERRNO | errno.ENOSYS
_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": ALLOW,
}
_WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
PERMISSIVE = (ALLOW, _ACTIONS["SCMP_ACT_LOG"])


@dataclass(frozen=True)
class Rule:
    """What happens to the named calls where all conditions hold."""

    names: tuple[str, ...]
    action: int
    conditions: tuple[Condition, ...] = ()


def action_value(action: str, number: int | None) -> int:
    """Return the kernel's value of an OCI action; `number` is its errno, EPERM by default."""
    if action == "SCMP_ACT_NOTIFY":
        raise StackrError(
            "seccomp action SCMP_ACT_NOTIFY is not supported",
            hint="it needs a listener process; use SCMP_ACT_ERRNO or SCMP_ACT_ALLOW",
        )
    if action not in _ACTIONS:
        raise StackrError(f"unknown seccomp action {action!r}")
    data = errno.EPERM if number is None else number
    if not 0 <= data <= 0xFFFF:
        raise StackrError(f"seccomp errno {data} is not between 0 and 65535")
    return _ACTIONS[action] | (data if action in _WITH_DATA else 0)


def rules_in(profile: dict[str, Any], default: int) -> list[Rule]:
    """Return the profile's rules in their order; those that say nothing new are left out."""
    rules: list[Rule] = []
    for entry in profile.get("syscalls") or []:
        action = action_value(entry["action"], entry.get("errnoRet"))
        if action != default:
            names = tuple(entry.get("names") or ())
            rules += (Rule(names, action, group) for group in _groups(entry.get("args") or []))
    return rules


def _groups(args: Iterable[dict[str, Any]]) -> list[tuple[Condition, ...]]:
    """All conditions must hold; but runc takes two on one argument as alternatives."""
    conditions = tuple(_condition(arg) for arg in args)
    if len({condition.index for condition in conditions}) < len(conditions):
        return [(condition,) for condition in conditions]
    return [conditions]


def _condition(arg: dict[str, Any]) -> Condition:
    missing = [key for key in ("index", "value", "op") if key not in arg]
    if missing:
        raise StackrError(f"a seccomp argument condition has no {missing[0]}: {arg}")
    index, operator = int(arg["index"]), str(arg["op"])
    if not 0 <= index <= 5:
        raise StackrError(f"seccomp argument index {index} is not between 0 and 5")
    if operator not in OPERATORS:
        raise StackrError(f"unknown seccomp comparison {operator!r}")
    second = int(arg.get("valueTwo") or 0)
    return Condition(index, OPERATORS[operator], int(arg["value"]), second)
