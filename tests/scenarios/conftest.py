"""The stack of a scenario: a copy of its folder, and at the end nothing left."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from stackr_engine.paths import Paths

from tests.conftest import leftovers
from tests.scenarios.runner import Stack, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def port() -> int:
    """A TCP port of the host that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
    return number


@pytest.fixture
def stack(
    request: pytest.FixtureRequest, paths: Paths, tmp_path: Path, port: int
) -> Iterator[Stack]:
    """A stack in a copy of the scenario's folder, or of the example that is its parameter."""
    source = Path(request.path).parent
    if hasattr(request, "param"):
        source = EXAMPLES / request.param
    folder = tmp_path / source.name.replace("_", "")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.pyc", "test_*"))
    names = ("PORT", "GUESTBOOK_PORT", "COUNTER_PORT")
    stack = Stack(folder, paths, dict.fromkeys(names, str(port)))
    try:
        yield stack
    finally:
        stack.attempt("down", "-v", "-t", "0", "--remove-orphans")
        stack.attempt("resident", "stop")
        # The resident answers before it ends, and the kernel takes links away after a namespace.
        with suppress(AssertionError):
            eventually(lambda: not leftovers(paths), 5)
