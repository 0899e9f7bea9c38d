"""A load that is killed at any moment: the store stays whole, and what was finished is kept."""

import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stackr_engine import trash
from stackr_engine.image.store import ImageStore
from stackr_engine.image.unpacking import unpack
from stackr_engine.paths import Paths
from stackr_engine.state import State

from tests.engine.image.archives import docker_archive, entry, folder, sha256, tar

pytestmark = pytest.mark.requires("root")

LOAD = """
import sys
from pathlib import Path
from stackr_engine.image.store import ImageStore
from stackr_engine.paths import Paths
from stackr_engine.state import State
paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
store = ImageStore(paths, State(paths.database))
print("ready", flush=True)
store.load(Path(sys.argv[3]))
"""


def layer(number: int) -> bytes:
    chance = random.Random(number)
    files = [entry(f"d{number}/{name}", chance.randbytes(2000)) for name in range(300)]
    return tar(folder(f"d{number}"), *files)


LAYERS = [layer(number) for number in range(4)]


def killed_load(paths: Paths, archive: Path, after: float) -> None:
    """Start to load in a process of its own, and kill it after some seconds."""
    command = [sys.executable, "-c", LOAD, str(paths.state), str(paths.run), str(archive)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after)
        process.kill()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def whole_layers(paths: Paths, expected: list[dict[str, bytes]]) -> int:
    """Count the layers; each must be all there, and nothing else may lie around."""
    assert os.listdir(paths.state / "images/tmp") == []
    found = [tree(folder) for folder in (paths.state / "images/l").iterdir()]
    assert all(layer in expected for layer in found)
    for blob in (paths.state / "images/blobs/sha256").iterdir():
        assert sha256(blob.read_bytes()) == f"sha256:{blob.name}"
    return len(found)


def test_a_load_that_is_killed_leaves_whole_layers_and_loses_none(
    paths: Paths, tmp_path: Path
) -> None:
    expected = []
    for number, data in enumerate(LAYERS):
        (tmp_path / f"expected{number}").mkdir()
        unpack(io.BytesIO(data), str(tmp_path / f"expected{number}"), (), sha256(data))
        expected.append(tree(tmp_path / f"expected{number}"))
    archive = tmp_path / "archive.tar"
    archive.write_bytes(docker_archive(*LAYERS, names=["a:1"]))
    finished = 0
    chance = random.Random(7)
    for _ in range(8):
        killed_load(paths, archive, chance.uniform(0.0, 0.25))
        state = State(paths.database)
        store = ImageStore(paths, state)
        store.clean()
        now = whole_layers(paths, expected)
        assert now >= finished
        finished = now
        for image in store.list():
            assert len(store.resolve(image.id, tmp_path).lowers) == len(LAYERS)
        state.close()
    state = State(paths.database)
    store = ImageStore(paths, state)
    store.load(archive)
    assert whole_layers(paths, expected) == len(LAYERS)
    assert len(store.resolve("a:1", tmp_path).lowers) == len(LAYERS)
    trash.wait(paths)
    state.close()
