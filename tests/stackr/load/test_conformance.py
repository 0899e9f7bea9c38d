"""Public stack files against what Docker Compose says of them, where a folder of such is given.

STACKR_CONFORMANCE names the folder: `config/cases/*/` with `project/` and `case.json`.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stackr_schemas.compose.render import rendered
from stackr_schemas.errors import StackrError

from stackr.load import LoadOptions, load_project

ROOT = Path(__file__).parents[3]
BESIDE = ROOT.parent / "shared" / "conformance"
CASES = Path(os.environ.get("STACKR_CONFORMANCE", BESIDE)) / "config" / "cases"
FOLDERS = sorted(CASES.iterdir()) if CASES.is_dir() else []

pytestmark = pytest.mark.skipif(not FOLDERS, reason="missing: STACKR_CONFORMANCE")


def pruned(value: Any) -> Any:
    """Drop what is empty, and write scalars as text."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, {}, [])} or None
    if isinstance(value, list):
        return [pruned(item) for item in value] or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def differences(want: Any, got: Any, path: str = "") -> Iterator[str]:
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            yield from differences(want.get(key), got.get(key), f"{path}.{key}")
    elif want != got:
        yield f"{path}: want {want!r}, got {got!r}"


def options(arguments: list[str], cwd: Path, environment: dict[str, str]) -> LoadOptions:
    files = tuple(arguments[1::2])
    assert set(arguments[::2]) <= {"-f"}, arguments
    return LoadOptions(
        cwd=str(cwd), files=files, environment={"HOME": "/nonexistent", **environment}
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_public_stack_is_read_as_compose_reads_it(folder: Path, tmp_path: Path) -> None:
    case = json.loads((folder / "case.json").read_text())
    project = tmp_path / "project"
    shutil.copytree(folder / "project", project)
    given = options(case["args"], project, case["env"])
    if case["exit"]:
        with pytest.raises(StackrError):
            load_project(given)
        return
    found = rendered(load_project(given).without_unused(), with_extensions=False)
    text = json.dumps(found).replace("$", "$$").replace(str(project), "$PROJECT")
    assert not list(differences(pruned(case["config"]), pruned(json.loads(text))))


def test_the_command_prints_what_the_loader_reads(tmp_path: Path) -> None:
    folder = next(f for f in FOLDERS if not json.loads((f / "case.json").read_text())["exit"])
    case = json.loads((folder / "case.json").read_text())
    project = tmp_path / "project"
    shutil.copytree(folder / "project", project)
    path = os.pathsep.join(str(ROOT / name) for name in (".", "engine", "schemas"))
    command = [sys.executable, "-c", "from stackr.client import main; main()"]
    done = subprocess.run(
        [*command, *case["args"], "config", "--format", "json"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "STACKR_RUN_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(done.args)}: {done.stderr}"
    found = json.loads(done.stdout.replace(str(project), "$PROJECT"))
    assert not list(differences(pruned(case["config"]), pruned(found)))
