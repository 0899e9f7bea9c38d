"""A whole stack file."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from stackr_schemas.compose.ai_model import Model
from stackr_schemas.compose.file_object import Config, Secret
from stackr_schemas.compose.forms import UniqueStringOrList
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.compose.network import Network
from stackr_schemas.compose.service import Service
from stackr_schemas.compose.volume import Volume

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$")]


class Include(ComposeModel):
    """Other stack files whose content is added."""

    path: UniqueStringOrList
    env_file: UniqueStringOrList = ()
    project_directory: str = ""


def include(value: object) -> object:
    """Read one `include` in either form."""
    return {"path": value} if isinstance(value, str) else value


AnyInclude = Annotated[Include, BeforeValidator(include, json_schema_input_type=str | Include)]


class StackFile(ComposeModel):
    """All files of a stack, merged."""

    version: str = Field(default="", deprecated=False)
    name: str = ""
    include: tuple[AnyInclude, ...] = ()
    services: dict[Name, Service] = Field(default_factory=dict)
    networks: dict[str, Network | None] = Field(default_factory=dict)
    volumes: dict[Name, Volume | None] = Field(default_factory=dict)
    secrets: dict[Name, Secret] = Field(default_factory=dict)
    configs: dict[Name, Config] = Field(default_factory=dict)
    models: dict[str, Model] = Field(default_factory=dict)
