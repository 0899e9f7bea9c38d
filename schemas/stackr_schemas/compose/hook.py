"""Commands that run at a point of a container's life."""

from pydantic import Field

from stackr_schemas.compose.command import Command
from stackr_schemas.compose.forms import Variables
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Bool


class Hook(ComposeModel):
    """One command of `pre_start`, `post_start`, `pre_stop` or `sync+exec`."""

    command: Command
    image: str = ""
    user: str = ""
    privileged: Bool = False
    working_dir: str = ""
    environment: Variables = Field(default_factory=dict)
