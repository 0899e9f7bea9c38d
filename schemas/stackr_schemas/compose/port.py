"""Published ports: `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, with ranges, or a mapping."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, field_validator

from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Int, text_of

PROTOCOLS = ("tcp", "udp", "sctp")
DEFAULTS = {"mode": "ingress", "protocol": "tcp"}
Range = tuple[int, int]


class Port(ComposeModel):
    """One container port and where it is published; an empty `published` lets the engine choose."""

    target: Int
    name: str = ""
    mode: str = ""
    host_ip: str = ""
    published: Annotated[
        str,
        BeforeValidator(lambda value: _published(value), json_schema_input_type=str | int),
    ] = ""
    protocol: str = ""
    app_protocol: str = ""

    @field_validator("host_ip")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return _address(value or "''")


def _published(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def parse_port(spec: str) -> list[dict[str, Any]]:
    """Read the short form into as many ports as its range has; raises ValueError."""
    *before, container = spec.split(":")
    host = before.pop() if before else ""
    address = _address(_unbracketed(":".join(before)))
    port, _, protocol = container.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid port {spec!r}: the protocol must be tcp, udp or sctp")
    targets, published = _range(port, spec), _range(host, spec) if host else None
    common = {"mode": "ingress", "protocol": protocol} | ({"host_ip": address} if address else {})
    ports = [
        common | {"target": target} | ({"published": text} if text else {})
        for target, text in _matched(targets, published, spec)
    ]
    return sorted(ports, key=lambda item: str(item["target"]))


def _unbracketed(text: str) -> str:
    if ":" in text and not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"invalid IP address {text!r}: write IPv6 addresses in brackets")
    return text.removeprefix("[").removesuffix("]")


def _address(text: str) -> str:
    if text:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(f"invalid IP address {text!r}") from None
    return text


def _range(text: str, spec: str) -> Range:
    first, dash, last = text.partition("-")
    numbers = (first, last if dash else first)
    if not all(n.isascii() and n.isdigit() and len(n) <= 5 and int(n) < 65536 for n in numbers):
        raise ValueError(f"invalid port {spec!r}: {text!r} is not a port or a range of ports")
    start, end = int(numbers[0]), int(numbers[1])
    if end < start:
        raise ValueError(f"invalid port {spec!r}: the range {text!r} is backwards")
    return start, end


def _matched(targets: Range, published: Range | None, spec: str) -> list[tuple[int, str]]:
    span = targets[1] - targets[0]
    if published is None:
        return [(target, "") for target in range(targets[0], targets[1] + 1)]
    if published[1] - published[0] == span:
        return [(targets[0] + step, str(published[0] + step)) for step in range(span + 1)]
    if span:
        raise ValueError(f"invalid port {spec!r}: the two ranges differ in length")
    return [(targets[0], f"{published[0]}-{published[1]}")]


def ports(value: object) -> object:
    """Expand the short forms in a list of ports."""
    if not isinstance(value, list):
        return value
    found: list[object] = []
    for item in value:
        if isinstance(item, str | int | float) and not isinstance(item, bool):
            found += parse_port(text_of(item))
        else:
            found.append(DEFAULTS | item if isinstance(item, dict) else item)
    return tuple(found)


def port_key(item: object) -> object:
    """Tell what two entries have in common when the later one replaces the earlier."""
    if not isinstance(item, Mapping):
        return item
    # Docker Compose takes 80 and "80" for two ports, so the type is part of the key.
    published = repr(item.get("published", ""))
    host, protocol = item.get("host_ip", "0.0.0.0"), item.get("protocol", "tcp")
    return f"{host}:{published}:{item.get('target')}/{protocol}"


Ports = Annotated[
    tuple[Port, ...], BeforeValidator(ports, json_schema_input_type=list[str | int | Port])
]
