"""What `watch` does when files change."""

from typing import Annotated, Literal

from pydantic import Field

from stackr_schemas.compose.forms import UniqueStringOrList
from stackr_schemas.compose.hook import Hook
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.types import Bool

Action = Literal["rebuild", "sync", "restart", "sync+restart", "sync+exec"]


class Watch(ComposeModel):
    """One watched path."""

    path: str = Field(min_length=1)
    action: Action
    target: str = ""
    exec: Annotated[Hook | None, GIVEN] = None
    include: UniqueStringOrList = ()
    ignore: UniqueStringOrList = ()
    initial_sync: Bool = False


class Develop(ComposeModel):
    """The `develop` section of a service."""

    watch: tuple[Watch, ...] = ()
