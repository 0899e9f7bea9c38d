"""What all models of a stack file share: frozen, unknown keys refused, `x-` keys kept."""

import os
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema

# Looking for pydantic's plugins reads every installed distribution's metadata: 20 ms of each start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class _Given:
    """Makes an optional field refuse an explicit null."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


GIVEN = _Given()


class ComposeModel(BaseModel):
    """One object of a stack file; `x-` keys are in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)
    __pydantic_extra__: dict[Annotated[str, StringConstraints(pattern="^x-")], Any]
