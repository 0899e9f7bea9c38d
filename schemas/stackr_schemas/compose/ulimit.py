"""Resource limits of a process."""

from typing import Annotated, Any

from pydantic import BeforeValidator, model_serializer, model_validator
from pydantic.json_schema import SkipJsonSchema

from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Int


class Ulimit(ComposeModel):
    """A soft and a hard limit, or a `single` value for both; -1: unlimited."""

    single: SkipJsonSchema[Int] = 0
    soft: Int = 0
    hard: Int = 0

    @model_validator(mode="before")
    @classmethod
    def _has_both(cls, value: Any) -> Any:
        if isinstance(value, dict) and "single" not in value:
            missing = [key for key in ("soft", "hard") if key not in value]
            if missing:
                raise ValueError(
                    f"must be a number, or have soft and hard: {missing[0]} is missing"
                )
        return value

    @property
    def limits(self) -> tuple[int, int]:
        """Soft and hard limit."""
        return (self.single, self.single) if self.single else (self.soft, self.hard)

    @model_serializer(mode="plain")
    def _render(self) -> int | dict[str, int]:
        limits = {"soft": self.soft, "hard": self.hard}
        return self.single or {key: limit for key, limit in limits.items() if limit}


def ulimit(value: object) -> object:
    """Read one limit: a number is both."""
    if isinstance(value, dict) and "single" in value:
        raise ValueError("must be a number or have soft and hard")
    if isinstance(value, int | str) and not isinstance(value, bool):
        return {"single": value}
    return value


AnyUlimit = Annotated[Ulimit, BeforeValidator(ulimit, json_schema_input_type=int | str | Ulimit)]
Ulimits = dict[str, AnyUlimit]
