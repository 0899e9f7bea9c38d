"""Small containers for tests of the spawner: an image made of folders and this host's /usr."""

import contextlib
import ctypes
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackr_engine import bootstrap
from stackr_engine.execution import ExecOptions
from stackr_engine.paths import Paths
from stackr_engine.spawn.adopt import Exit, find_running, read_exit
from stackr_engine.spawn.client import Spawner
from stackr_engine.spawn.request import Executed, Started
from stackr_schemas.container import BindMount, ContainerSpec
from stackr_schemas.image import Image, ImageConfig

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n"
GROUP = "root:x:0:\nbob:x:1000:\nextra:x:50:bob\nmore:x:60:\n"
USR = BindMount(source="/usr", target="/usr", read_only=True)
SHELL = ("/bin/sh", "-c")


def make_root(folder: Path) -> Path:
    """Make the lower folder of a small image."""
    for name in ("usr", "proc", "sys", "dev", "etc", "tmp", "root"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/usr", name).exists():
            (folder / name).symlink_to(f"usr/{name}")
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    return folder


@dataclass
class Running:
    """One started container."""

    id: str
    folder: Path
    started: Started
    spec: ContainerSpec
    image: Image
    privileges: bootstrap.Privileges

    def finish(self, timeout: float = 10) -> Exit:
        """Wait for the end."""
        assert self.started.wait(timeout), "the container runs on"
        end = read_exit(self.folder)
        assert end is not None
        return end

    def output(self, stream: str = "") -> str:
        """What it has written to one stream, or to both."""
        file = self.folder / "container.log"
        records = (
            [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []
        )
        return "".join(item["log"] for item in records if stream in ("", item["stream"]))


class Box:
    """Starts containers, and ends them when the test ends."""

    def __init__(self, paths: Paths, lower: Path):
        self.paths = paths
        self.lower = lower
        self.spawner = Spawner.fork(paths)
        self.running: list[Running] = []
        self._undo = contextlib.ExitStack()

    def start(
        self,
        *command: str,
        attach: Any = None,
        image: ImageConfig | None = None,
        lowers: tuple[str, ...] = (),
        prepared: dict[str, Any] | None = None,
        **spec: Any,
    ) -> Running:
        """Start a container; `spec` are fields of ContainerSpec."""
        number = f"{len(self.running) + 1:064x}"
        folder = self.paths.container(number)
        folder.mkdir()
        spec["mounts"] = (USR, *spec.get("mounts", ()))
        wanted = ContainerSpec(name="box", image="box", command=command or None, **spec)
        picture = Image(
            id="sha256:0",
            reference="box",
            config=image or ImageConfig(),
            lowers=lowers or (str(self.lower),),
        )
        privileges = bootstrap.privileges_for(wanted)
        ready = bootstrap.Prepared(number, folder, privileges, **(prepared or {}))
        request = bootstrap.start_request(wanted, picture, ready)
        started = self.spawner.start(request, attach)
        found = Running(number, folder, started, wanted, picture, privileges)
        self.running.append(found)
        return found

    def run(self, *command: str, **spec: Any) -> Running:
        """Start a container and wait for its end."""
        found = self.start(*command, **spec)
        found.finish()
        return found

    def shell(self, script: str, **spec: Any) -> str:
        """Run a shell script; return what it printed."""
        return self.run(*SHELL, script, **spec).output()

    def execute(
        self,
        where: Running,
        *command: str,
        stdio: tuple[int, int, int] | None = None,
        cgroup_procs: tuple[str, ...] = (),
        **options: Any,
    ) -> Executed:
        """Run one more process in a container."""
        request = bootstrap.exec_request(
            where.spec,
            where.image,
            where.id,
            where.started,
            command,
            ExecOptions(**options),
            privileges=where.privileges,
            cgroup_procs=cgroup_procs,
        )
        return self.spawner.execute(request, stdio)

    def exec_output(self, where: Running, *command: str, **options: Any) -> tuple[int, str]:
        """Run one more process; return its exit code and what it wrote."""
        read, write = os.pipe()
        with open("/dev/null") as null, open(read) as reader:
            try:
                process = self.execute(
                    where, *command, stdio=(null.fileno(), write, write), **options
                )
            finally:
                os.close(write)
            text = reader.read()
            code = process.wait()
            process.close()
        return code, text

    def netns(self, name: str) -> str:
        """Make a network namespace, as the network part of the engine does."""
        path = self.paths.netns(name)
        path.touch()
        libc = ctypes.CDLL(None)

        def make() -> None:
            assert libc.unshare(0x40000000) == 0
            source = b"/proc/thread-self/ns/net"
            assert libc.mount(source, os.fsencode(path), None, ctypes.c_ulong(4096), None) == 0

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        self._undo.callback(libc.umount2, os.fsencode(path), 2)
        return str(path)

    def close(self) -> None:
        """End everything."""
        for each in self.running:
            with contextlib.suppress(ProcessLookupError):
                each.started.kill(9)
            each.started.wait(10)
            each.started.close()
            assert find_running(each.folder) is None
        self._undo.close()
        self.spawner.close()


@contextlib.contextmanager
def box_in(paths: Paths, folder: Path) -> Iterator[Box]:
    """Open a box whose image lies in `folder`."""
    box = Box(paths, make_root(folder))
    try:
        yield box
    finally:
        box.close()
