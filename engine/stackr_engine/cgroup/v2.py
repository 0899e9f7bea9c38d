"""Control groups of version 2: one folder a container; files as in the kernel's cgroup-v2.rst."""

import contextlib
import os
import select
from collections.abc import Sequence

from stackr_schemas.container import Resources

from stackr_engine.cgroup import device_program, hierarchy
from stackr_engine.cgroup.devices import DEFAULT, DeviceRule
from stackr_engine.cgroup.hierarchy import (
    Cgroups,
    Group,
    Stats,
    make_folder,
    read,
    read_keyed,
    write,
)
from stackr_engine.processes import host_memory

CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
PERIOD_US = 100_000
"""The kernel's own period of cpu.max."""
WEIGHT = 100
FREEZE_TIMEOUT = 10.0
FILES = {
    "memory.max": "memory_max",
    "memory.low": "memory_low",
    "memory.swap.max": "memory_swap_max",
    "cpu.weight": "cpu_weight",
    "cpuset.cpus": "cpuset_cpus",
    "cpuset.mems": "cpuset_mems",
    "pids.max": "pids_max",
}
DEFAULTS = {"memory.low": "0", "cpu.weight": str(WEIGHT)}
"""What no limit is in files where it is not `max`."""


class CgroupsV2(Cgroups):
    """The groups below `root`/`parent`."""

    def __init__(self, root: str, parent: str):
        self._root = root
        self._folder = f"{root}/{parent}"

    def create(
        self, group: str, resources: Resources, devices: Sequence[DeviceRule] | None = ()
    ) -> Group:
        """Make a group with its limits and its device program."""
        self._make(self._path(group))
        try:
            self._set(group, {key: value for key, value in _wanted(resources).items() if value})
            if devices is not None:
                device_program.attach(self._path(group), (*DEFAULT, *devices))
        except BaseException:
            self.remove(group)
            raise
        return self.group(group)

    def _path(self, group: str) -> str:
        return f"{self._folder}/{group}"

    def _make(self, path: str) -> None:
        try:
            make_folder(path)
        except FileNotFoundError:
            self._delegate(self._root)
            with contextlib.suppress(FileExistsError):
                make_folder(self._folder)
            self._delegate(self._folder)
            make_folder(path)
        except FileExistsError:
            self.remove(os.path.basename(path))  # of a start that was killed half-way
            make_folder(path)

    def _delegate(self, folder: str) -> None:
        """Give all that we use to the groups below a folder."""
        available = read(f"{folder}/cgroup.controllers").split()
        file = f"{folder}/cgroup.subtree_control"
        missing = {one for one in available if one in CONTROLLERS}.difference(read(file).split())
        # No group but the host's real root, which has no type, may have processes of its own and
        # controllers below it.
        if missing and os.path.exists(f"{folder}/cgroup.type"):
            self._move_processes(folder)
        for controller in missing:
            # Where one cannot be had, the files of its limits are missing, and that is reported.
            with contextlib.suppress(OSError):
                write(file, f"+{controller}")

    def _move_processes(self, folder: str) -> None:
        leaf = f"{folder}/init"
        while pids := read(f"{folder}/cgroup.procs").split():
            with contextlib.suppress(FileExistsError):
                make_folder(leaf)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    write(f"{leaf}/cgroup.procs", pid)

    def group(self, group: str) -> Group:
        """Return the group of a running container."""
        path = self._path(group)
        return Group(group, path, (f"{path}/cgroup.procs",), f"{path}/memory.events")

    def update(self, group: str, resources: Resources) -> None:
        """Write what differs from what the kernel holds."""
        now = _wanted(self.read(group))
        wanted = _wanted(resources)
        self._set(group, {key: value for key, value in wanted.items() if value != now[key]})

    def _set(self, group: str, values: dict[str, str | None]) -> None:
        for name, value in values.items():
            path = f"{self._path(group)}/{name}"
            if name == "memory.swap.max" and not os.path.exists(path) and not _has_swap():
                continue  # a kernel without swap has no file, and nothing to limit
            hierarchy.write_limit(path, value or self._unlimited(name))

    def _unlimited(self, name: str) -> str:
        """A set of processors cannot become empty under processes: it gets all there are."""
        if name.startswith("cpuset."):
            return _read_or_empty(f"{self._folder}/{name}.effective")
        return DEFAULTS.get(name, "max")

    def read(self, group: str) -> Resources:
        """Return the limits as the kernel holds them."""
        path = self._path(group)
        values: dict[str, int | str | None] = {}
        for name, field in FILES.items():
            text = _read_or_empty(f"{path}/{name}")
            is_set = text not in ("", "max", self._unlimited(name))
            values[field] = text if is_set else None
        quota, period = (_read_or_empty(f"{path}/cpu.max") or f"max {PERIOD_US}").split()
        values["cpu_quota_us"] = None if quota == "max" else quota
        values["cpu_period_us"] = None if int(period) == PERIOD_US else period
        return Resources.model_validate(values)

    def kill(self, group: str) -> None:
        """Let the kernel kill all at once; before Linux 5.14 one by one, frozen."""
        path = self._path(group)
        try:
            write(f"{path}/cgroup.kill", "1")
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                write(f"{path}/cgroup.freeze", "1")
            hierarchy.kill_each(path, f"/{os.path.basename(self._folder)}/{group}")

    def freeze(self, group: str) -> None:
        """Stop all processes, and wait for the event that says so."""
        write(f"{self._path(group)}/cgroup.freeze", "1")
        self._wait_for(group, "frozen", 1)

    def thaw(self, group: str) -> None:
        """Let frozen processes go on."""
        write(f"{self._path(group)}/cgroup.freeze", "0")

    def _wait_for(self, group: str, key: str, value: int) -> bool:
        """Sleep until cgroup.events says so; its changes wake whoever polls it."""
        fd = os.open(f"{self._path(group)}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            poller = select.poll()
            poller.register(fd, select.POLLPRI)
            while f"{key} {value}" not in os.pread(fd, 4096, 0).decode().splitlines():
                if not poller.poll(FREEZE_TIMEOUT * 1000):
                    return False
        finally:
            os.close(fd)
        return True

    def pids(self, group: str) -> list[int]:
        """Return the processes."""
        return hierarchy.pids_in(self._path(group))

    def stats(self, group: str) -> Stats:
        """Return what the group uses now."""
        path = self._path(group)
        used = int(_read_or_empty(f"{path}/memory.current") or 0)
        cache = _keyed_or_empty(f"{path}/memory.stat").get("inactive_file", 0)
        limit = self.read(group).memory_max or host_memory()
        transfers = _io(_read_or_empty(f"{path}/io.stat"))
        return Stats(
            cpu_ns=read_keyed(f"{path}/cpu.stat")["usage_usec"] * 1000,
            memory=max(0, used - cache),
            memory_limit=min(limit, host_memory()),
            pids=int(_read_or_empty(f"{path}/pids.current") or len(self.pids(group))),
            io_read=transfers["rbytes"],
            io_write=transfers["wbytes"],
        )

    def oom_kills(self, group: str) -> int:
        """Count the processes that the kernel killed for want of memory."""
        return _keyed_or_empty(f"{self._path(group)}/memory.events").get("oom_kill", 0)

    def remove(self, group: str) -> None:
        """Remove the group at once where it is empty; else kill, and wait for the event."""
        path = self._path(group)
        if hierarchy.remove_folder(path):
            return
        with contextlib.suppress(FileNotFoundError):
            self.kill(group)
            self._wait_for(group, "populated", 0)
        hierarchy.wait_until_removed(path)

    def remove_parent(self) -> None:
        """Remove the engine's folder, unless there are groups in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)

    def list(self) -> set[str]:
        """Return the names of all groups that exist."""
        return hierarchy.names_in(self._folder)


def _wanted(resources: Resources) -> dict[str, str | None]:
    values = {name: getattr(resources, field) for name, field in FILES.items()}
    text = {name: None if value is None else str(value) for name, value in values.items()}
    quota, period = resources.cpu_quota_us, resources.cpu_period_us
    if quota is None and period is None:
        return text | {"cpu.max": None}
    return text | {"cpu.max": f"{quota or 'max'} {period or PERIOD_US}"}


def _has_swap() -> bool:
    return len(read("/proc/swaps").splitlines()) > 1


def _read_or_empty(path: str) -> str:
    """A controller that is not there has no files: then there is nothing to read, no limit."""
    try:
        return read(path)
    except FileNotFoundError:
        return ""


def _keyed_or_empty(path: str) -> dict[str, int]:
    try:
        return read_keyed(path)
    except FileNotFoundError:
        return {}


def _io(text: str) -> dict[str, int]:
    """Add up the devices of io.stat, a line each."""
    totals = {"rbytes": 0, "wbytes": 0}
    for line in text.splitlines():
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            if key in totals:
                totals[key] += int(value)
    return totals
