"""The process that forks: one byte and a socket in, a fork that answers on that socket out.

It reads no request itself, so that it is always ready for the next; the fork does. When the
resident is gone it goes too, and what it forked stays.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import os
import sys

from stackr_engine.spawn import execute, process, service, shim, steps, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Job = shim.Shim | execute.Runner | service.Service

_FIRST, _SECOND = "seal", "serve"
_LONGEST = 128 * 1024


def main(argv: list[str]) -> None:
    """Seal the interpreter, then serve."""
    run_folder, fd, stage = argv[1], int(argv[2]), argv[3]
    if stage == _FIRST:
        seal(run_folder, fd)
    syscalls.setns(int(stage.removeprefix(_SECOND)), syscalls.CLONE_NEWNS)
    os.close(int(stage.removeprefix(_SECOND)))
    prepare()
    serve(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd))


def seal(run_folder: str, fd: int) -> NoReturn:
    """Execute the interpreter again from a read-only mount.

    A container can be made to execute /proc/self/exe, which is this interpreter until its own
    program runs, and could then write to the host's file (CVE-2019-5736). The mount exists only
    in a mount namespace that ends as soon as the new process has gone back to the host's.
    """
    host = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    os.set_inheritable(host, True)
    os.set_inheritable(fd, True)
    executable = os.readlink("/proc/self/exe")
    syscalls.unshare(syscalls.CLONE_NEWNS)
    everything = os.open("/", os.O_PATH | os.O_CLOEXEC)
    syscalls.mount_setattr(everything, True, 0, 0, syscalls.MS_PRIVATE)
    syscalls.mount(executable, executable, "none", syscalls.MS_BIND, "")
    flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
    syscalls.mount("none", executable, "none", flags, "")
    arguments = [*sys.orig_argv[:-1], f"{_SECOND}{host}"]
    os.execve(executable, arguments, dict(os.environ))


def prepare() -> None:
    """Become what every shim and container starts from: nothing of the resident's is left."""
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    process.reset_signals()
    process.ignore_signals()
    syscalls.set_name("stackr-spawner")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    service.remember_imports()
    gc.disable()
    gc.freeze()


def serve(requests: _socket.socket) -> NoReturn:
    """Fork for each request until the resident is gone.

    All that can be done before the fork is: what this process touches, its forks share.
    """
    space = _socket.CMSG_SPACE(wire.MAX_FDS * 4)
    own = requests.fileno()
    while True:
        text, ancillary, _, _ = requests.recvmsg(_LONGEST, space, _socket.MSG_CMSG_CLOEXEC)
        if not text:
            os._exit(0)
        fds = wire.descriptors(ancillary)
        try:
            job = _job(wire.from_json(text), fds)
            if os.fork() == 0:
                _do(job, fds[0], own)
        except Exception as error:
            _refuse(fds[0], error)
        for fd in fds:
            os.close(fd)


def _job(header: dict[str, Any], fds: list[int]) -> Job:
    """Prepare what a request asks for; its first descriptor is where it is answered."""
    named = dict(zip(header["fds"], fds[1:], strict=True))
    match header["op"]:
        case "start":
            return shim.Shim(header, named)
        case "exec":
            return execute.Runner(header, named)
        case _:
            return service.Service(header, named)


def _do(job: Job, request: int, requests: int) -> NoReturn:
    try:
        os.close(requests)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        os.setsid()
        syscalls.set_name(job.name)
        job.run(request)
    except Exception as error:
        _refuse(request, error)
    finally:
        os._exit(1)


def _refuse(fd: int, error: Exception) -> None:
    request = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, os.dup(fd))
    try:
        wire.send(request, wire.to_json({"error": steps.describe(error)}))
    except OSError:
        return  # nobody waits for it
    finally:
        request.close()
