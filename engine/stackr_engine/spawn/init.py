"""The container's first process, from fork to execve: a list of described steps.

shim                                     first process
unshare(pid) + fork ───────────────────▶ steps: namespaces, mounts, root, identity
writes pid.json
"go" ──────────────────────────────────▶ waits for it
                                         execve
end of file ◀────────────────────────── (close-on-exec): the program runs
or {"error": …} ◀────────────────────── a step failed
"""

from __future__ import annotations

import _socket
import os

from stackr_engine.spawn import (
    cgroups,
    devices,
    identity,
    masks,
    mounts,
    process,
    reaper,
    rootfs,
    stdio,
    steps,
    syscalls,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from stackr_engine.spawn.steps import Step

_FLAGS = {
    "network": syscalls.CLONE_NEWNET,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "mount": syscalls.CLONE_NEWNS,
}
_GO = b"g"
_STREAMS = ("stdin_end", "stdout_end", "stderr_end")


class Init:
    """What the steps share: the request, and what earlier steps opened."""

    def __init__(self, request: dict[str, Any], streams: list[int], terminal: int):
        self.request = request
        self.config: dict[str, Any] = request["config"]
        self.process: dict[str, Any] = self.config["process"]
        self.linux: dict[str, Any] = self.config.get("linux", {})
        self.streams = streams
        self.terminal = terminal
        self.root = -1
        self.proc = -1
        self.trees: dict[int, int] = {}

    def steps(self) -> list[Step]:
        """Everything that is done before the program runs, in order."""
        return [
            ("join control groups", self.join_cgroups),
            ("open sources of bind mounts", self.clone_trees),
            ("enter namespaces", self.enter_namespaces),
            ("mount the root", self.mount_root),
            *((_title(mount), self.mounting(mount)) for mount in self.mounts),
            ("make devices", self.make_devices),
            *([("open the terminal", self.open_terminal)] if self.process.get("terminal") else []),
            ("set kernel parameters", self.set_sysctls),
            ("mask paths", self.mask_paths),
            ("set the host name", self.set_hostname),
            ("enter the root", self.enter_root),
            ("find the user", self.find_user),
            ("set limits", self.set_limits),
            *([("hide our arguments", reaper.hide_arguments)] if self.request["init"] else []),
            ("enter the working folder", self.enter_cwd),
            ("drop privileges", self.drop_privileges),
        ]

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """The config's mounts."""
        found: list[dict[str, Any]] = self.config.get("mounts", [])
        return found

    def join_cgroups(self) -> None:
        """Enter the groups first: what follows is accounted to the container."""
        cgroups.join(self.request.get("cgroup_procs", []))
        process.set_oom_score(self.process.get("oomScoreAdj", 0))

    def clone_trees(self) -> None:
        """Open bind sources while this is still the host's mount namespace."""
        for index, mount in enumerate(self.mounts):
            if _is_bind(mount):
                self.trees[index] = mounts.clone_tree(mount)

    def enter_namespaces(self) -> None:
        """Join the namespaces with a path, make the others; the keyring is one of its own."""
        new = 0
        for namespace in self.linux.get("namespaces", []):
            flag = _FLAGS.get(namespace["type"], 0)
            if flag and namespace.get("path"):
                join_namespace(namespace["path"], flag)
            else:
                new |= flag
        syscalls.unshare(new)
        syscalls.join_session_keyring(self.request["id"])

    def mount_root(self) -> None:
        """Cut propagation, then mount the root."""
        everything = os.open("/", os.O_PATH | os.O_CLOEXEC)
        syscalls.mount_setattr(everything, True, 0, 0, syscalls.MS_PRIVATE)
        os.close(everything)
        self.root = rootfs.mount_root(self.config["root"]["path"], self.request.get("overlay"))

    def mounting(self, mount: dict[str, Any]) -> Callable[[], None]:
        """Return the step that does one mount."""
        index = self.mounts.index(mount)

        def run() -> None:
            if index in self.trees:
                mounts.bind(self.root, mount, self.trees[index])
            elif mount["type"] == "cgroup":
                cgroups.mount_cgroup(self.root, mount)
            else:
                tree = mounts.mount_filesystem(self.root, mount)
                if mount["type"] == "proc" and mount["destination"] == "/proc":
                    self.proc = tree

        return run

    def make_devices(self) -> None:
        """Fill /dev."""
        devices.make_standard_devices(self.root)
        for device in self.linux.get("devices", []):
            devices.make_device(self.root, device)

    def open_terminal(self) -> None:
        """Open a terminal inside and hand its master to the shim."""
        master, slave = devices.open_terminal(self.root)
        devices.bind_console(self.root, slave)
        shim = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.terminal)
        wire.send(shim, b"", (master,))
        shim.close()
        os.close(master)
        self.streams = [slave, slave, slave]

    def mask_paths(self) -> None:
        """Cover what the container may not see; only a genuine /proc makes that worth anything."""
        if self.proc >= 0:
            masks.check_genuine(self.root, "/proc", masks.PROC_MAGIC)
        if any(mount["type"] == "sysfs" for mount in self.mounts):
            masks.check_genuine(self.root, "/sys", masks.SYSFS_MAGIC)
        masks.make_read_only(self.root, self.linux.get("readonlyPaths", []))
        masks.mask(self.root, self.linux.get("maskedPaths", []))

    def set_sysctls(self) -> None:
        """Write kernel parameters of the new namespaces, while /proc/sys can still be written."""
        masks.set_sysctls(self.proc, self.linux.get("sysctl", {}))

    def set_hostname(self) -> None:
        """Name the new UTS namespace; one that was joined or is the host's keeps its name."""
        if self.config.get("hostname"):
            _socket.sethostname(self.config["hostname"])
        if self.config.get("domainname"):
            syscalls.setdomainname(self.config["domainname"])

    def enter_root(self) -> None:
        """Change the root, and make it read-only if that is asked for."""
        identity.make_cwd(self.root, self.process["cwd"])
        if self.config["root"].get("readonly"):
            syscalls.mount_setattr(self.root, False, syscalls.MOUNT_ATTR_RDONLY, 0)
        rootfs.enter_root(self.root)

    def find_user(self) -> None:
        """Look the user up and give it its streams."""
        self.user = identity.find_user(self.root, self.process, self.request)
        if not self.process.get("terminal"):
            self.streams = stdio.inside(self.streams, self.user)

    def set_limits(self) -> None:
        """Set resource limits."""
        process.set_rlimits(self.process.get("rlimits", []))

    def enter_cwd(self) -> None:
        """Enter the working folder."""
        identity.enter_cwd(self.process["cwd"])

    def drop_privileges(self) -> None:
        """Become the container's user, with its filter; no step can follow."""
        stdio.install(self.streams, bool(self.process.get("terminal")))
        identity.drop_privileges(self.user, self.process, self.request)


def join_namespace(path: str, flag: int) -> None:
    """Join the namespace at a path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(fd, flag)
    os.close(fd)


def _is_bind(mount: dict[str, Any]) -> bool:
    words = mount.get("options", [])
    return mount.get("type") == "bind" or "bind" in words or "rbind" in words


def _title(mount: dict[str, Any]) -> str:
    kind = "bind" if _is_bind(mount) else mount["type"]
    source = f" {mount['source']}" if kind == "bind" else ""
    return f"mount {kind}{source} on {mount['destination']}"


def main(request: int, header: dict[str, Any], fds: dict[str, int]) -> NoReturn:
    """Be the first process: do all steps, wait for "go", execute; on failure send the error."""
    code = process.EXIT_FAILED
    sync = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fds["sync"])
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        # Says who this is: the kernel adds the pid as the resident sees it.
        sync.send(b"h", _socket.MSG_NOSIGNAL)
        process.restore_signals()
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, request)
        body = header | wire.from_json(wire.receive(sock)[0])
        body["seccomp"] = wire.receive(sock)[0]
        streams = [fds.get(name, stdio.NONE) for name in _STREAMS]
        _run(Init(body, streams, fds.get("terminal_end", -1)), sync)
    except Exception as error:
        text = steps.describe(error)
        code = text["exit_code"]
        wire.send(sync, wire.to_json({"error": text}))
        sync.recv(1)  # until the resident knows who this was
    finally:
        os._exit(code)


def _run(init: Init, sync: _socket.socket) -> None:
    steps.run_steps(init.steps())
    if sync.recv(1) != _GO:
        return  # the resident died before it registered us
    env = identity.with_home(init.process.get("env", []), init.user)
    syscalls.close_range(3, (1 << 32) - 1, syscalls.CLOSE_RANGE_CLOEXEC)
    if init.request.get("init"):
        reaper.run(init.process["args"], env, sync)
    process.execute(init.process["args"], env)
