"""What is compared: one command that understands Compose's verbs, and what belongs to it."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = "stackr-benchmark:latest"
PROJECT = "stackrbench"


class BenchmarkError(Exception):
    """A command did not do what it was measured for: its figure would be a lie."""


@dataclass(frozen=True)
class Contender:
    """One engine: its Compose command, its plain one, and how its own processes are told."""

    name: str
    compose: tuple[str, ...]
    plain: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    programs: frozenset[str] = frozenset()
    """Names of the engine's own programs; empty: whatever has `environment` in its own."""

    def run(self, *arguments: str, stdin: bytes = b"", plain: bool = False) -> str:
        """Run one command to its end and return its stdout; raises BenchmarkError."""
        prefix = self.plain if plain else self.compose
        done = subprocess.run(
            [*prefix, *arguments],
            input=stdin,
            capture_output=True,
            env={**os.environ, **self.environment},
        )
        if done.returncode:
            words = " ".join(arguments)
            raise BenchmarkError(f"{self.name} {words}: {done.stderr.decode()[-800:]}")
        return done.stdout.decode()

    def stack(self, file: bytes, *arguments: str) -> str:
        """Run one Compose verb on a stack file that goes in as stdin."""
        return self.run("-p", PROJECT, "-f", "-", *arguments, stdin=file)


def stackr(folder: Path) -> Contender:
    """Return the stackr beside this Python, with an engine of its own in `folder`."""
    command = str(Path(sys.executable).with_name("stackr"))
    places = {"STACKR_STATE_DIR": f"{folder}/state", "STACKR_RUN_DIR": f"{folder}/run"}
    return Contender("stackr", (command,), (command,), places)


def docker(command: str) -> Contender | None:
    """Return Docker behind a command prefix, the machine's own if empty; None: there is none."""
    words = tuple(command.split()) or ("docker",)
    if not shutil.which(words[0]):
        return None
    if subprocess.run([*words, "compose", "ls"], capture_output=True).returncode:
        return None
    programs = frozenset({"dockerd", "containerd", "containerd-shim", "docker-proxy"})
    return Contender("docker", (*words, "compose"), words, programs=programs)


def import_image(contender: Contender, busybox: Path) -> None:
    """Give the engine an image of one static busybox and its links."""
    contender.run("import", "-", IMAGE, stdin=image_tar(busybox), plain=True)


def image_tar(busybox: Path) -> bytes:
    """Return a root file system as tar: busybox, `sleep`, `true` and `sh`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "root"):
            tar.addfile(_folder(name))
        tar.add(busybox.resolve(), "bin/busybox")
        for name in ("sleep", "true", "sh"):
            tar.addfile(_link(f"bin/{name}"))
    return buffer.getvalue()


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def _link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "busybox"
    return info
