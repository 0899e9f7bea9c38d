"""Configs and secrets of the project."""

from pydantic import Field, model_validator

from stackr_schemas.compose.forms import DriverOptions, Pairs
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Bool


class Config(ComposeModel):
    """One config: a file, an environment variable or inline content."""

    name: str = ""
    file: str = ""
    environment: str = ""
    content: str = ""
    external: Bool = False
    labels: Pairs = Field(default_factory=dict)
    template_driver: str = ""

    @model_validator(mode="after")
    def _has_one_source(self) -> "Config":
        _check_sources(self.model_fields_set, ("file", "environment", "content"))
        return self


class Secret(ComposeModel):
    """One secret: a file or an environment variable."""

    name: str = ""
    file: str = ""
    environment: str = ""
    external: Bool = False
    labels: Pairs = Field(default_factory=dict)
    driver: str = ""
    driver_opts: DriverOptions = Field(default_factory=dict)
    template_driver: str = ""

    @model_validator(mode="after")
    def _has_one_source(self) -> "Secret":
        _check_sources(self.model_fields_set, ("file", "environment"))
        return self


def _check_sources(fields: set[str], sources: tuple[str, ...]) -> None:
    found = [source for source in sources if source in fields]
    if len(found) > 1:
        raise ValueError(f"{' and '.join(found)} exclude each other")
    if not found and not fields & {"driver", "external"}:
        raise ValueError(f"one of {', '.join(sources)} must be set")
