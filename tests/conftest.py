"""What every test may ask for: features of the machine, an engine's folders, and a clean end."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stackr_engine.paths import Paths


def _has_controller(name: str) -> bool:
    v1 = Path("/sys/fs/cgroup") / name
    v2 = Path("/sys/fs/cgroup/cgroup.controllers")
    return v1.is_dir() or (v2.exists() and name in v2.read_text().split())


FEATURES: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "overlayfs": lambda: "overlay" in Path("/proc/filesystems").read_text(),
    "cgroup-memory": lambda: _has_controller("memory"),
    "cgroup-pids": lambda: _has_controller("pids"),
    "cgroup-cpu": lambda: _has_controller("cpu"),
    "cgroup-unified": lambda: "cgroup2" in Path("/proc/self/mountinfo").read_text(),
    "nft": lambda: shutil.which("nft") is not None,
    "gcc": lambda: shutil.which("gcc") is not None,
    "docker-registry": lambda: shutil.which("docker-registry") is not None,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the machine cannot do, by name; in CI that is a failure instead."""
    wanted = [name for marker in item.iter_markers("requires") for name in marker.args]
    missing = [name for name in wanted if not FEATURES[name]()]
    if missing and os.environ.get("CI"):
        pytest.fail(f"CI must have: {', '.join(missing)}")
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")


def _lines(file: str, word: str) -> set[str]:
    return {line for line in Path(file).read_text().splitlines() if word in line}


def leftovers(paths: Paths) -> set[str]:
    """Everything of one engine that the kernel still holds, a line each."""
    prefixes = (f"sk{paths.tag}", f"sv{paths.tag}")
    links = {f"link {name}" for _, name in socket.if_nameindex() if name.startswith(prefixes)}
    mounts = {
        f"mount {line.split()[4]}"
        for root in (paths.state, paths.run)
        for line in _lines("/proc/self/mountinfo", f"{root}")
    }
    # os.walk passes over what other engines' tests remove meanwhile; rglob raises.
    walk = os.walk("/sys/fs/cgroup")
    groups = {f"cgroup {path}" for path, _, _ in walk if path.endswith(f"/{paths.instance}")}
    return links | mounts | groups | _processes(paths)


def _processes(paths: Paths) -> set[str]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(paths.run).encode() in text and folder.name != str(os.getpid()):
            found.add(f"process {folder.name} {text[:80]!r}")
    return found


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """Folders for an engine of this test's own; at the end nothing of it may be left."""
    paths = Paths(tmp_path / "state", tmp_path / "run")
    paths.make()
    yield paths
    left = leftovers(paths)
    assert not left, "left behind:\n" + "\n".join(sorted(left))
