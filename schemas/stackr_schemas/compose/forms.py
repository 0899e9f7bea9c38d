"""Short forms that many keys share: string or list, list or mapping, command line."""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from stackr_schemas.types import text_of

T = TypeVar("T")
Scalar = str | int | float | bool | None


def one_or_many(value: object) -> object:
    """Make a list of a single string."""
    return (value,) if isinstance(value, str) else value


def _unique(value: object) -> object:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if item in value[:index]:  # type: ignore[index]
            raise ValueError(f"{item!r} is listed twice")
    return value


def _one_or_unique(value: object) -> object:
    return _unique(one_or_many(value))


def scalar_text(value: object) -> str:
    """Write a scalar of a mapping as text; anything else is refused."""
    if not isinstance(value, str | int | float | None):
        found = "" if isinstance(value, Mapping | list | tuple) else f", not {value!r}"
        raise ValueError(f"the value must be a string, number, boolean or null{found}")
    return text_of(value)


def pairs(value: object) -> dict[str, str | None]:
    """Read `{K: v}` or `[K=v]`; a key without a value has None."""
    if isinstance(value, Mapping):
        return {k: None if v is None else scalar_text(v) for k, v in value.items()}
    if not isinstance(value, list | tuple):
        raise ValueError("must be a mapping or a list of KEY=VALUE")
    found: dict[str, str | None] = {}
    for item in _listed(_unique(value)):
        if not isinstance(item, str):
            raise ValueError(f"{item!r} must be a string like KEY=VALUE")
        key, equals, text = item.partition("=")
        found[key] = text if equals else None
    return found


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def text_pairs(value: object) -> dict[str, str]:
    """Read as `pairs`, an absent value as the empty text."""
    return {key: text or "" for key, text in pairs(value).items()}


def _options(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: scalar_text(item) for key, item in value.items()}
    return value


def _driver_options(value: object) -> object:
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if isinstance(item, bool) or item is None:
            raise ValueError(f"the value of {key} must be a string or a number")
    return _options(value)


def hosts(value: object) -> dict[str, tuple[str, ...]]:
    """Read `{host: ip}`, `{host: [ip]}`, `[host:ip]` or `[host=ip]`; brackets are dropped."""
    found: dict[str, tuple[str, ...]] = {}
    for host, address in _host_entries(value):
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        found[host] = (*found.get(host, ()), *address.split(","))
    return found


def _host_entries(value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        many = [(k, v if isinstance(v, list | tuple) else [v]) for k, v in value.items()]
        return [(host, _text(address)) for host, addresses in many for address in addresses]
    if not isinstance(value, list | tuple):
        raise ValueError("must be a mapping or a list of HOST=IP")
    return [_host_entry(_text(entry)) for entry in value]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} must be a string")
    return value


def _host_entry(entry: str) -> tuple[str, str]:
    host, separator, address = entry.partition("=" if "=" in entry else ":")
    if not separator or not host:
        raise ValueError(f"invalid host entry {entry!r}: write HOST=IP")
    return host, address


def host_lines(found: dict[str, tuple[str, ...]]) -> list[str]:
    """Write hosts as sorted `host=ip` lines."""
    return sorted(f"{host}={address}" for host, addresses in found.items() for address in addresses)


def optional(parse: Callable[[object], T]) -> Callable[[object], T | None]:
    """Make a parser let None through."""

    def parse_some(value: object) -> T | None:
        return None if value is None else parse(value)

    return parse_some


Strings = tuple[str, ...]
StringOrList = Annotated[
    tuple[str, ...], BeforeValidator(one_or_many, json_schema_input_type=str | list[str])
]
UniqueStrings = Annotated[
    tuple[str, ...], BeforeValidator(_unique, json_schema_input_type=list[str])
]
UniqueStringOrList = Annotated[
    tuple[str, ...], BeforeValidator(_one_or_unique, json_schema_input_type=str | list[str])
]
ListOrDict = dict[str, Scalar] | list[str]
Variables = Annotated[
    dict[str, str | None], BeforeValidator(pairs, json_schema_input_type=ListOrDict)
]
"""Variables; None: taken from the environment, if it is there."""
Pairs = Annotated[dict[str, str], BeforeValidator(text_pairs, json_schema_input_type=ListOrDict)]
Options = Annotated[
    dict[str, str], BeforeValidator(_options, json_schema_input_type=dict[str, Scalar])
]
DriverOptions = Annotated[
    dict[str, str],
    BeforeValidator(_driver_options, json_schema_input_type=dict[str, str | int | float]),
]
Hosts = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(hosts, json_schema_input_type=dict[str, str | list[str]] | list[str]),
    PlainSerializer(host_lines),
]


def keyed(default: dict[str, object] | None) -> Callable[[object], object]:
    """Make a reader of `[name]` as `{name: default}`; a name listed twice is refused."""

    def read(value: object) -> object:
        names = _unique(value) if isinstance(value, list) else value
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return {name: None if default is None else dict(default) for name in names}
        return names

    return read


def numbers_as_text(value: object) -> object:
    """Write the numbers in a list as text."""
    if not isinstance(value, list):
        return value
    return [text_of(item) if type(item) in (int, float) else item for item in value]
