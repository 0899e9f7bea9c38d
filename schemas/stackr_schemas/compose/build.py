"""The `build` section of a service."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from stackr_schemas.compose.forms import Hosts, ListOrDict, Pairs, Strings, Variables, text_pairs
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.compose.mount import AnyFileMount
from stackr_schemas.compose.ulimit import Ulimits
from stackr_schemas.types import Bool, WholeBytes, text_of


def _contexts(value: object) -> dict[str, str]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str) and "=" not in item:
            raise ValueError(f"invalid context {item!r}: write NAME=CONTEXT")
    return text_pairs(value)


def _ssh_lines(keys: dict[str, str]) -> list[str]:
    return sorted(f"{key}={path}" if path else key for key, path in keys.items())


def _text_or_bool(value: object) -> object:
    return text_of(value) if isinstance(value, bool) else value


Ssh = Annotated[
    dict[str, str],
    BeforeValidator(text_pairs, json_schema_input_type=ListOrDict),
    PlainSerializer(_ssh_lines),
]
Contexts = Annotated[dict[str, str], BeforeValidator(_contexts, json_schema_input_type=ListOrDict)]
TextOrBool = Annotated[str, BeforeValidator(_text_or_bool, json_schema_input_type=str | bool)]


class Build(ComposeModel):
    """How the service's image is built; `shm_size` in bytes."""

    context: str = ""
    dockerfile: str = ""
    dockerfile_inline: str = ""
    entitlements: Strings = ()
    args: Variables = Field(default_factory=dict)
    provenance: TextOrBool = ""
    sbom: TextOrBool = ""
    ssh: Ssh = Field(default_factory=dict)
    labels: Pairs = Field(default_factory=dict)
    cache_from: Strings = ()
    cache_to: Strings = ()
    no_cache: Bool = False
    additional_contexts: Contexts = Field(default_factory=dict)
    pull: Bool = False
    extra_hosts: Hosts = Field(default_factory=dict)
    isolation: str = ""
    network: str = ""
    target: str = ""
    secrets: tuple[AnyFileMount, ...] = ()
    shm_size: WholeBytes = 0
    tags: Strings = ()
    ulimits: Ulimits = Field(default_factory=dict)
    platforms: Strings = ()
    privileged: Bool = False


def build(value: object) -> object:
    """Read a build: a string is the context."""
    return {"context": value} if isinstance(value, str) else value


AnyBuild = Annotated[
    Build | None, GIVEN, BeforeValidator(build, json_schema_input_type=str | Build)
]
