"""Devices asked for by capability, as GPUs are."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from stackr_schemas.compose.forms import Pairs, UniqueStrings
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import parse_int

ALL = -1


def _count(value: object) -> int:
    if value == "all":
        return ALL
    try:
        return parse_int(value if not isinstance(value, float) else None)
    except ValueError:
        raise ValueError(f"invalid count {value!r}: write `all` or a number") from None


class DeviceRequest(ComposeModel):
    """Some devices, by number or by id; a `count` of -1 means all."""

    capabilities: UniqueStrings = ()
    driver: str = ""
    count: Annotated[int, BeforeValidator(_count, json_schema_input_type=int | str)] = 0
    device_ids: UniqueStrings = ()
    options: Pairs = Field(default_factory=dict)

    @model_validator(mode="after")
    def _count_or_ids(self) -> "DeviceRequest":
        if self.count and self.device_ids:
            raise ValueError("count and device_ids exclude each other")
        return self


class Reservation(DeviceRequest):
    """A device request of `deploy.resources.reservations`, which must say what it wants."""

    @model_validator(mode="after")
    def _has_one_selector(self) -> "Reservation":
        if bool(self.model_fields_set & {"capabilities"}) == bool(
            self.model_fields_set & {"driver"}
        ):
            return self._both_or_none()
        return self

    def _both_or_none(self) -> "Reservation":
        if "capabilities" not in self.model_fields_set:
            raise ValueError("must have capabilities or driver")
        return self


def gpus(value: object) -> object:
    """Read `all` or a list of device requests; nothing said means all."""
    return [{"count": ALL}] if value == "all" else value


Gpus = Annotated[
    tuple[DeviceRequest, ...],
    BeforeValidator(gpus, json_schema_input_type=str | list[DeviceRequest]),
]
