"""An engine that is killed at any instant leaves nothing that the next one cannot clear."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from stackr_engine.network.networks import Networks
from stackr_engine.paths import Paths
from stackr_engine.state import State

from tests.kernel.netns import tables

pytestmark = pytest.mark.requires("root", "nft")

WORK = """
import sys
from pathlib import Path
from stackr_engine.network.networks import Networks
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.container import Attachment, PublishedPort
from stackr_schemas.network import NetworkSpec

paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
networks = Networks(paths, State(paths.database))
print("ready", flush=True)
for turn in range(1000):
    name = f"front{turn}"
    networks.create(NetworkSpec(name=name))
    for container in ("web", "store"):
        networks.open_namespace(container)
        networks.attach(container, [Attachment(network=name)])
        networks.publish(container, [PublishedPort(container_port=80)])
    for container in ("web", "store"):
        networks.close_namespace(container)
    networks.remove(name)
"""


def killed_after(paths: Paths, seconds: float) -> None:
    command = [sys.executable, "-c", WORK, str(paths.state), str(paths.run)]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)


def test_what_a_killed_engine_left_is_cleared(paths: Paths) -> None:
    chance = random.Random(2)
    for _ in range(12):
        killed_after(paths, chance.uniform(0, 0.12))
        state = State(paths.database)
        networks = Networks(paths, state)
        networks.reconcile()
        for deviation in networks.observe():
            # A container whose connecting was cut off is connected again, or closed.
            assert str(deviation).startswith("container ")
        for container in networks.holders():
            networks.close_namespace(container)
        for network in networks.list():
            networks.remove(network.id)
        networks.settle()
        assert networks.observe() == []
        assert networks.holders() == set()
        networks.close()
        state.close()
        assert paths.instance not in tables()
        assert list((paths.run / "netns").iterdir()) == []
