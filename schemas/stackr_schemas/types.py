"""Quantities as stack files write them: bytes, durations, octal modes, booleans, numbers.

The accepted spellings are those of the Compose Specification as Docker Compose reads it.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

NANOSECOND = 1
SECOND = 1_000_000_000 * NANOSECOND

_BYTES = re.compile(r"(\d+\.?\d*|\.\d+) ?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_BYTE_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)")
_DURATION_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 24 * 3600 * SECOND,
    "w": 7 * 24 * 3600 * SECOND,
}
LARGEST = 2**63 - 1
LEGACY_BOOLEANS = {"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False}
_BOOLEANS = {"true": True, "false": False} | LEGACY_BOOLEANS


def text_of(value: object) -> str:
    """Write a scalar as the specification's reference implementation prints it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return "" if value is None else str(value)


def _float_text(value: float) -> str:
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def parse_bytes(value: object) -> int:
    """Read `64m`, `1.5 GiB` or a number of bytes; units are powers of 1024."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"invalid size {value!r}: write a number with a unit, like 64m or 1g")
    number, unit = match.groups()
    size = int(float(number) * 1024 ** _BYTE_POWERS.get((unit or "").lower(), 0))
    if size > LARGEST:
        raise ValueError(f"invalid size {value!r}: too large")
    return size


def parse_whole_bytes(value: object) -> int:
    """Read as `parse_bytes`, but no fractional number without a unit."""
    if isinstance(value, float) and value != int(value):
        raise ValueError(f"invalid size {value!r}: write a whole number, or one with a unit")
    return parse_bytes(value)


def parse_unit_bytes(value: object) -> int:
    """Read as `parse_bytes`, but only text."""
    if not isinstance(value, str):
        raise ValueError(f"invalid size {value!r}: write it as text with a unit, like 64m")
    return parse_bytes(value)


def parse_duration(value: object) -> int:
    """Read `1m30s` into nanoseconds; units ns, us, ms, s, m, h, d and w."""
    text = value if isinstance(value, str) else ""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return 0
    parts = _DURATION.findall(digits)
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        raise ValueError(f"invalid duration {value!r}: write it with a unit, like 10s or 1m30s")
    total = sum(_nanoseconds(number, _DURATION_UNITS[unit]) for number, unit in parts)
    if total > LARGEST:
        raise ValueError(f"invalid duration {value!r}: too long")
    return sign * total


def _nanoseconds(number: str, unit: int) -> int:
    return round(float(number) * unit) if "." in number else int(number[:20]) * unit


def format_duration(nanoseconds: int) -> str:
    """Write a duration as `1h2m3.5s`, the form that `parse_duration` reads back."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 10**3), ("µs", 10**6), ("ms", SECOND)):
        if rest < size:
            return f"{sign}{_decimal(rest, size // 1000)}{unit}"
    minutes, seconds = divmod(rest, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, SECOND)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")


def parse_mode(value: object) -> int:
    """Read a file mode: a number as it is, text as octal digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value, 8) if isinstance(value, str) else _not(value, "a file mode")
    except ValueError:
        raise ValueError(f"invalid file mode {value!r}: write it in octal, like 0440") from None


def _not(value: object, wanted: str) -> int:
    raise ValueError(f"{value!r} is not {wanted}")


def parse_bool(value: object) -> bool:
    """Read a boolean, also the YAML 1.1 words that interpolation can leave as text."""
    if isinstance(value, bool):
        return value
    found = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"invalid boolean {value!r}: write true or false")
    return found


def parse_int(value: object) -> int:
    """Read a whole number, from text too (variables are text)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,19}", value):
        return int(value)
    raise ValueError(f"invalid number {value!r}: write a whole number")


def parse_number(value: object) -> int:
    """Read as `parse_int`; a fraction is cut off."""
    return int(value) if isinstance(value, float) and value == value else parse_int(value)


def parse_bare_number(value: object) -> int:
    """Read as `parse_number`, but no text."""
    if isinstance(value, str):
        raise ValueError(f"must be a number, not the text {value!r}")
    return parse_number(value)


def parse_float(value: object) -> float:
    """Read a number, from text too (variables are text)."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"invalid number {value!r}")


def _number(value: float) -> Any:
    return int(value) if value == int(value) else value


Bytes = Annotated[
    int, BeforeValidator(parse_bytes, json_schema_input_type=int | str), PlainSerializer(str)
]
WholeBytes = Annotated[
    int, BeforeValidator(parse_whole_bytes, json_schema_input_type=int | str), PlainSerializer(str)
]
UnitBytes = Annotated[
    int, BeforeValidator(parse_unit_bytes, json_schema_input_type=str), PlainSerializer(str)
]
Duration = Annotated[
    int,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration),
]
"""Nanoseconds."""
Mode = Annotated[
    int,
    BeforeValidator(parse_mode, json_schema_input_type=int | str),
    PlainSerializer(lambda mode: f"0{mode:o}"),
]
Bool = Annotated[bool, BeforeValidator(parse_bool, json_schema_input_type=bool | str)]
Int = Annotated[int, BeforeValidator(parse_int, json_schema_input_type=int | str)]
Number = Annotated[int, BeforeValidator(parse_number, json_schema_input_type=float | str)]
"""A whole number, that the specification lets be written with a fraction."""
BareNumber = Annotated[int, BeforeValidator(parse_bare_number, json_schema_input_type=float)]
Float = Annotated[
    float,
    BeforeValidator(parse_float, json_schema_input_type=float | str),
    PlainSerializer(_number),
]
