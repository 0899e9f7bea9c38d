"""The real `stackr` command on an engine of its own, as a user in a terminal would use it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackr_engine.paths import Paths

COMMAND = Path(sys.executable).with_name("stackr")


@dataclass(frozen=True)
class Done:
    """What one command said, and its exit status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Stack:
    """One stack in a folder, run by an engine with folders of its own."""

    folder: Path
    paths: Paths
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        places = {"STACKR_STATE_DIR": str(self.paths.state), "STACKR_RUN_DIR": str(self.paths.run)}
        return {**os.environ, **places, **self.variables}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and return at once; its signals are a terminal's, not pytest's."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def attempt(self, *arguments: str, stdin: str = "", timeout: float = 60) -> Done:
        """Run a command to its end, whatever its exit status."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, stdin: str = "", timeout: float = 60) -> str:
        """Run a command that must succeed, and return its stdout."""
        done = self.attempt(*arguments, stdin=stdin, timeout=timeout)
        assert done.status == 0, f"{arguments}: {done}"
        return done.out

    def ps(self, *options: str) -> dict[str, dict[str, Any]]:
        """Return all containers by name, as `ps -a --format json` tells them."""
        lines = self.run("ps", "-a", "--format", "json", *options).splitlines()
        return {found["Name"]: found for found in map(json.loads, lines)}

    def states(self) -> dict[str, str]:
        """Return every container's state by service and number: `{"web-1": "running"}`."""
        return {name.split("-", 1)[1]: found["State"] for name, found in self.ps().items()}

    def logs(self, service: str) -> list[str]:
        """Return the lines of one service's containers."""
        return self.run("logs", "--no-log-prefix", service).splitlines()

    def processes(self, name: str = "") -> list[int]:
        """Find this engine's processes: the resident, `stackr-spawner`, `stackr-resolver`, …"""
        return [pid for pid, text in _processes(self.paths) if name in text]

    def kill(self, *names: str) -> None:
        """Kill -9 the engine's processes of these names, all at once; each must be there."""
        found = [self.processes(name) for name in names]
        assert all(found), f"{names}: {found} of {_processes(self.paths)}"
        for pids in found:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


def _processes(paths: Paths) -> list[tuple[int, str]]:
    """Process ids, names and command lines of all that know of the engine's run folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            ours = str(paths.run).encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours or str(paths.run) in command:
            found.append((int(folder.name), f"{name} {command}"))
    return found


def eventually(claim: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a claim holds, and fail if it does not in time."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "did not become true in time"
        time.sleep(0.02)
