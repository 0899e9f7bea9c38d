"""What all models of a stack file share: frozen, unknown keys refused, `x-` keys kept."""

import importlib
import sys
from types import ModuleType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema

PLUGINS = "pydantic.plugin._loader"


def _skip_plugins() -> None:
    """Keep pydantic from looking for plugins: 23 of the 230 ms that a start without resident takes.

    It imports the readers of distribution metadata and of mail headers for that, even when it
    is told not to. Whatever else is asked of the module comes from the real one.
    """

    def real(name: str) -> Any:
        if name.startswith("__"):  # the import system asks for __path__
            raise AttributeError(name)
        sys.modules.pop(PLUGINS, None)
        return getattr(importlib.import_module(PLUGINS), name)

    stand_in = ModuleType(PLUGINS)
    vars(stand_in).update(get_plugins=tuple, __getattr__=real)
    sys.modules.setdefault(PLUGINS, stand_in)


_skip_plugins()


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
