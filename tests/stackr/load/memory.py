"""Loads stacks from files that exist in a dictionary only."""

import posixpath
from typing import Any

from stackr_schemas.compose.project import Project
from stackr_schemas.errors import StackrError

from stackr.load import LoadOptions, load_project
from stackr.load.problem import LoadError

FOLDER = "/stack"


class MemoryFiles:
    """Files by absolute path."""

    def __init__(self, texts: dict[str, str]):
        self.texts = {posixpath.join(FOLDER, name): text for name, text in texts.items()}

    def read(self, path: str) -> str:
        if path not in self.texts:
            raise StackrError(f"cannot read {path}: no such file")
        return self.texts[path]

    def is_file(self, path: str) -> bool:
        return path in self.texts

    def is_folder(self, path: str) -> bool:
        return any(name.startswith(f"{path}/") for name in self.texts)

    def real(self, path: str) -> str:
        return path


def load(texts: dict[str, str] | str, **given: Any) -> Project:
    """Load `compose.yaml`, or what `files` names."""
    files = MemoryFiles({"compose.yaml": texts} if isinstance(texts, str) else texts)
    given.setdefault("environment", {"HOME": "/home/me"})
    return load_project(LoadOptions(cwd=FOLDER, **given), files)


def service(text: str, **given: Any) -> Any:
    """Load one service `web` with an image; `text` is its further keys, indented by nothing."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    top = given.pop("top", "")
    return load(f"services:\n  web:\n    image: app\n{lines}{top}", **given).services["web"]


def problems(texts: dict[str, str] | str, **given: Any) -> list[str]:
    """Load what cannot be loaded, and list what is wrong."""
    try:
        load(texts, **given)
    except LoadError as error:
        return [str(problem) for problem in error.problems]
    raise AssertionError("this stack should not load")
