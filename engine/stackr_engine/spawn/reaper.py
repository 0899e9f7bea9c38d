"""`init: true`: a first process that reaps orphans and passes signals on."""

from __future__ import annotations

import _signal
import os

from stackr_engine.spawn import files, process, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import NoReturn

_ALL = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]
_FAULTS = {4, 5, 6, 7, 8, 11, 31}
"""Signals of the reaper's own errors: blocking or passing them on would hide those."""


def hide_arguments() -> None:
    """Overwrite this process's arguments: they name folders of the host, and ps shows them."""
    text = files.read_bytes("/proc/self/stat")
    start, end = (int(word) for word in text[text.rindex(b")") + 2 :].split()[45:47])
    name = b"stackr-init"[: end - start - 1]
    syscalls.overwrite(start, name + bytes(end - start - len(name)))
    syscalls.set_name("stackr-init")


def run(args: list[str], env: list[str], sync: _socket.socket) -> NoReturn:
    """Start the program as a child and stay; exit as it does, 128 + signal where it was killed."""
    blocked = [number for number in _ALL if number not in _FAULTS]
    _signal.pthread_sigmask(_signal.SIG_BLOCK, blocked)
    child = os.fork()
    if child == 0:
        _run_child(args, env, sync)
    sync.close()
    os.closerange(3, 1 << 20)
    while True:
        number = _signal.sigwait(blocked)
        if number == _signal.SIGCHLD:
            _reap(child)
        else:
            _pass_on(child, number)


def _run_child(args: list[str], env: list[str], sync: _socket.socket) -> NoReturn:
    try:
        os.setpgid(0, 0)
        _take_terminal()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
        process.execute(args, env)
    except process.NotExecuted as error:
        text = {"message": str(error.strerror), "errno": error.errno or 0}
        wire.send(sync, wire.to_json({"error": {**text, "exit_code": error.exit_code}}))
    finally:
        os._exit(process.EXIT_NOT_FOUND)


def _take_terminal() -> None:
    """Become the terminal's foreground group, if there is a terminal."""
    try:
        os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        return


def _reap(child: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except OSError:
        return
