"""What the spawner's process loads: each module is memory in every shim."""

import subprocess
import sys
from pathlib import Path

import stackr_engine

ROOT = Path(stackr_engine.__file__).parent.parent
HEAVY = {
    "re",
    "enum",
    "json",
    "socket",
    "typing",
    "dataclasses",
    "pathlib",
    "subprocess",
    "inspect",
}


def test_the_spawner_loads_little_and_nothing_of_ours_but_itself() -> None:
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); import stackr_engine.spawn.spawner;"
        "print(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(found)
    ours = {name for name in found if name.startswith("stackr")}
    assert all(name == "stackr_engine" or name.startswith("stackr_engine.spawn") for name in ours)
