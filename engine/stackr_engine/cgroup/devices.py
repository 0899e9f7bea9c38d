"""Which device nodes a container may open and make."""

from dataclasses import dataclass
from typing import Literal

from stackr_schemas.errors import StackrError


@dataclass(frozen=True)
class DeviceRule:
    """One kind of device allowed: `access` of r, w and m(knod); None stands for all numbers."""

    type: Literal["c", "b"]
    major: int | None
    minor: int | None
    access: str = "rwm"

    def __str__(self) -> str:
        major = "*" if self.major is None else self.major
        minor = "*" if self.minor is None else self.minor
        return f"{self.type} {major}:{minor} {self.access}"


def _char(major: int, *minors: int | None) -> tuple[DeviceRule, ...]:
    return tuple(DeviceRule("c", major, minor) for minor in minors)


DEFAULT = (
    DeviceRule("c", None, None, "m"),
    DeviceRule("b", None, None, "m"),
    *_char(1, 3, 5, 7, 8, 9),  # null, zero, full, random, urandom
    *_char(5, 0, 1, 2),  # tty, console, ptmx
    *_char(136, None),  # pseudoterminals
)
"""What every container may use, as with Docker; any node may be made but not opened."""


def parse_rule(text: str) -> tuple[DeviceRule, ...]:
    """Read a rule as Compose writes it, `c 1:3 mr`; type `a` gives a rule for each type."""
    try:
        kind, numbers, access = text.split()
        major, minor = (None if word == "*" else int(word) for word in numbers.split(":"))
        if kind not in ("a", "b", "c") or not access or not set(access) <= set("rwm"):
            raise ValueError(kind)
    except ValueError:
        raise StackrError(
            f'"{text}" is no device rule', hint='write TYPE MAJOR:MINOR ACCESS, as in "c 1:3 rwm"'
        ) from None
    types: tuple[Literal["c", "b"], ...] = ("c", "b")
    return tuple(DeviceRule(one, major, minor, access) for one in types if kind in ("a", one))
