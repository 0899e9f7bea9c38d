"""A host on which there can be no engine: the reason reaches the user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stackr_engine.paths import Paths

RESIDENT = """
import os, stackr_engine.host as host
host.OLDEST_KERNEL = (999, 0)
from stackr.resident import main
main(os.open(os.devnull, os.O_WRONLY))
"""


@pytest.mark.requires("root")
def test_an_old_kernel_is_told_to_the_first_client(paths: Paths, tmp_path: Path) -> None:
    environment = {**os.environ, "STACKR_STATE_DIR": str(paths.state)}
    environment["STACKR_RUN_DIR"] = str(paths.run)
    (tmp_path / "stack.yaml").write_text("services: {a: {image: 'rootfs:/', command: 'true'}}\n")
    resident = subprocess.Popen([sys.executable, "-c", RESIDENT], env=environment)
    while not paths.socket.exists():
        assert resident.poll() is None
    client = [sys.executable, "-m", "stackr.command", "up", "-d"]
    done = subprocess.run(
        client, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is too old: stackr needs 5.15 or newer (update the kernel)" in done.stderr
    assert "Traceback" not in done.stderr
    assert resident.wait(10) == 1
