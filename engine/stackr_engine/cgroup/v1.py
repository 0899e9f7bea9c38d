"""Control groups of version 1: a folder a controller for each container.

A hierarchy costs a container some 0.2 ms, so only those are used that every container needs;
those of the other limits join when a limit is set.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Sequence

from stackr_schemas.container import Resources
from stackr_schemas.errors import StackrError

from stackr_engine.cgroup import hierarchy, v1_limits
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

ALWAYS = ("memory", "cpuacct", "pids", "devices", "blkio")
ON_DEMAND = ("cpu", "cpuset", "freezer")
FREEZE_TIMEOUT = 10.0


class CgroupsV1(Cgroups):
    """The groups below `parent` in each hierarchy; `mounts` are mount points by controller."""

    def __init__(self, mounts: dict[str, str], parent: str):
        self._parent = parent
        self._mounts = {name: mounts[name] for name in (*ALWAYS, *ON_DEMAND) if name in mounts}

    def create(
        self, group: str, resources: Resources, devices: Sequence[DeviceRule] | None = ()
    ) -> Group:
        """Make a folder in each hierarchy that this container needs, and set its limits."""
        limits = v1_limits.limits_for(resources)
        needed = {limit.controller for limit in limits if limit.is_set}
        try:
            for folder in self._folders(name for name in self._mounts if name in ALWAYS):
                self._make(f"{folder}/{group}")
            for controller in needed.difference(ALWAYS):
                self._join(group, controller)
            v1_limits.apply((limit for limit in limits if limit.is_set), self._paths(group))
            self._allow(group, devices)
        except BaseException:
            self.remove(group)
            raise
        return self.group(group)

    def _folders(self, controllers: Iterable[str]) -> list[str]:
        """Return the engine's folders; controllers can share a mount."""
        return list(dict.fromkeys(f"{self._mounts[name]}/{self._parent}" for name in controllers))

    def _paths(self, group: str) -> dict[str, str]:
        return {name: self._path(name, group) for name in self._mounts}

    def _path(self, controller: str, group: str) -> str:
        if controller not in self._mounts:
            raise StackrError(
                f"the host has no {controller} controller",
                hint="see /proc/cgroups; some hosts need a kernel parameter (cgroup_enable=memory)",
            )
        return f"{self._mounts[controller]}/{self._parent}/{group}"

    def _make(self, path: str) -> None:
        parent = os.path.dirname(path)
        try:
            make_folder(path)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                make_folder(parent)
            _fill_cpuset(parent)
            make_folder(path)
        except FileExistsError:
            hierarchy.kill_each(path, path.rpartition(self._parent)[2])
            hierarchy.wait_until_removed(path)  # of a start that was killed half-way
            make_folder(path)
        _fill_cpuset(path)

    def _join(self, group: str, controller: str) -> None:
        """Bring a group into one more hierarchy, with the processes that it has already."""
        path = self._path(controller, group)
        if os.path.isdir(path):
            return
        self._make(path)
        moved: set[int] = set()
        while new := set(self.pids(group)) - moved:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    write(f"{path}/cgroup.procs", str(pid))
            moved |= new

    def _allow(self, group: str, devices: Sequence[DeviceRule] | None) -> None:
        if devices is None or "devices" not in self._mounts:
            return
        path = self._path("devices", group)
        write(f"{path}/devices.deny", "a")
        for rule in (*DEFAULT, *devices):
            write(f"{path}/devices.allow", str(rule))

    def group(self, group: str) -> Group:
        """Return the group of a running container.

        A process of one thread enters by `tasks` in 0.1 ms; `cgroup.procs` waits for a grace
        period of the kernel's, some 5 ms.
        """
        places = dict.fromkeys(self._paths(group).values())
        files = tuple(f"{path}/tasks" for path in places if os.path.isdir(path))
        memory = self._path("memory" if "memory" in self._mounts else "pids", group)
        return Group(group, memory, files, f"{memory}/memory.oom_control")

    def update(self, group: str, resources: Resources) -> None:
        """Set what differs from what the kernel holds."""
        now = v1_limits.limits_for(self.read(group))
        changed = [limit for limit in v1_limits.limits_for(resources) if limit not in now]
        for limit in changed:
            if limit.is_set:
                self._join(group, limit.controller)
        v1_limits.apply(changed, self._paths(group))

    def read(self, group: str) -> Resources:
        """Return the limits as the kernel holds them, in the words of version 2."""
        return v1_limits.read_limits(self._paths(group))

    def kill(self, group: str) -> None:
        """Forbid new processes, then signal those that there are."""
        path = self._path("pids", group)
        with contextlib.suppress(FileNotFoundError):
            write(f"{path}/pids.max", "0")
        hierarchy.kill_each(path, f"/{self._parent}/{group}")
        with contextlib.suppress(FileNotFoundError, KeyError):
            write(f"{self._paths(group)['freezer']}/freezer.state", "THAWED")

    def freeze(self, group: str) -> None:
        """Stop all processes; the kernel gives no sign of the end, so ask again, ever later."""
        self._join(group, "freezer")
        file = f"{self._path('freezer', group)}/freezer.state"
        deadline, pause = time.monotonic() + FREEZE_TIMEOUT, 0.0005
        write(file, "FROZEN")
        while read(file) != "FROZEN":
            if time.monotonic() > deadline:
                write(file, "THAWED")
                raise StackrError(f"the processes of {group} cannot be frozen")
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
            write(file, "FROZEN")

    def thaw(self, group: str) -> None:
        """Let frozen processes go on."""
        write(f"{self._path('freezer', group)}/freezer.state", "THAWED")

    def pids(self, group: str) -> list[int]:
        """Return the processes."""
        return hierarchy.pids_in(self._path("pids", group))

    def stats(self, group: str) -> Stats:
        """Return what the group uses now."""
        memory, pids = self._path("memory", group), self._path("pids", group)
        used = int(read(f"{memory}/memory.usage_in_bytes"))
        cache = read_keyed(f"{memory}/memory.stat").get("total_inactive_file", 0)
        transfers = self._transfers(group)
        return Stats(
            cpu_ns=int(read(f"{self._path('cpuacct', group)}/cpuacct.usage")),
            memory=max(0, used - cache),
            memory_limit=min(int(read(f"{memory}/memory.limit_in_bytes")), host_memory()),
            pids=int(read(f"{pids}/pids.current")),
            io_read=transfers.get("Read", 0),
            io_write=transfers.get("Write", 0),
        )

    def _transfers(self, group: str) -> dict[str, int]:
        """Add up the devices of blkio, a `MAJOR:MINOR Read BYTES` line each."""
        totals: dict[str, int] = {}
        text = read(f"{self._path('blkio', group)}/blkio.throttle.io_service_bytes_recursive")
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3:
                totals[words[1]] = totals.get(words[1], 0) + int(words[2])
        return totals

    def oom_kills(self, group: str) -> int:
        """Count the processes that the kernel killed for want of memory."""
        return read_keyed(f"{self._path('memory', group)}/memory.oom_control").get("oom_kill", 0)

    def remove(self, group: str) -> None:
        """Remove the group at once where it is empty; else kill, and wait for the end."""
        left = [path for path in self._paths(group).values() if not hierarchy.remove_folder(path)]
        if left:
            self.kill(group)
        for path in left:
            hierarchy.kill_each(path, f"/{self._parent}/{group}")
            hierarchy.wait_until_removed(path)

    def remove_parent(self) -> None:
        """Remove the engine's folders, unless there are groups in them."""
        for folder in self._folders(self._mounts):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def list(self) -> set[str]:
        """Return the names of all groups that exist, also of those half made."""
        return {
            name for folder in self._folders(self._mounts) for name in hierarchy.names_in(folder)
        }


def _fill_cpuset(path: str) -> None:
    """A new cpuset is empty and takes no process: it starts with what its parent has."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        try:
            if not read(f"{path}/{name}"):
                write(f"{path}/{name}", read(f"{os.path.dirname(path)}/{name}"))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return
