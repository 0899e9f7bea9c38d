"""The invariants of ARCHITECTURE.md that source text can show."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "stackr": ROOT / "stackr",
    "stackr_engine": ROOT / "engine" / "stackr_engine",
    "stackr_schemas": ROOT / "schemas" / "stackr_schemas",
}
MAY_IMPORT = {
    "stackr_schemas": {"stackr_schemas"},
    "stackr_engine": {"stackr_engine", "stackr_schemas"},
    "stackr": {"stackr", "stackr_engine", "stackr_schemas"},
}
PURE = (
    *("actions", "declare", "desired", "drift", "health", "plan"),
    *("restart", "service_spec", "teardown"),
)
"""Modules of `stackr` that decide and never act: they may not even import what acts."""
ACTING = {"os", "subprocess", "socket", "pathlib", "threading", "time", "stackr_engine", "pyroute2"}
STDLIB_ONLY = (ROOT / "engine/stackr_engine/spawn",)
FILES = [file for folder in PACKAGES.values() for file in sorted(folder.rglob("*.py"))]


def imports(file: Path) -> set[str]:
    """Every module name that a file imports anywhere, outside `if TYPE_CHECKING`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def roots(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_down(package: str) -> None:
    ours = set(PACKAGES)
    for file in PACKAGES[package].rglob("*.py"):
        assert roots(file) & ours <= MAY_IMPORT[package], file


@pytest.mark.parametrize("module", PURE)
def test_deciding_modules_cannot_act(module: str) -> None:
    assert not roots(ROOT / "stackr" / f"{module}.py") & ACTING


def test_the_spawner_is_standard_library_only() -> None:
    for folder in STDLIB_ONLY:
        for file in folder.rglob("*.py"):
            outside = roots(file) - set(sys.stdlib_module_names) - {"stackr_engine"}
            if file.name != "client.py":
                assert not outside, f"{file}: {outside}"


def test_the_client_imports_next_to_nothing() -> None:
    assert roots(ROOT / "stackr/client.py") <= {
        *("sys", "os", "_socket", "_signal"),
        *("typing", "termios", "gc", "stackr"),  # types, a raw terminal, no resident
    }


def test_docker_is_never_imported() -> None:
    for file in FILES:
        assert not roots(file) & {"docker", "podman"}, file


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_stay_short(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 50, node.name
