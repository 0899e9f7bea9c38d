"""Long-lived processes of the engine beside the containers, such as the name resolver."""

from __future__ import annotations

import os
import sys

from stackr_engine.spawn import files, process, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, NoReturn

_saved: list[Any] = []


def remember_imports() -> None:
    """Forbid imports to all forks but services.

    After a change of root an import would run the container's file with the host's privileges.
    """
    _saved[:] = [list(sys.path), list(sys.meta_path), list(sys.path_hooks)]
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def run(request: _socket.socket, header: dict[str, Any], fds: list[int]) -> NoReturn:
    """Import the named module, answer, and be it: its `main(fds, arguments)` is called."""
    sys.path[:], sys.meta_path[:], sys.path_hooks[:] = _saved
    syscalls.set_name(header["name"])
    __import__(header["module"])
    module = sys.modules[header["module"]]
    pid = os.getpid()
    started = {"pid": pid, "start_time": files.start_time(pid)}
    pidfd = os.pidfd_open(pid)
    wire.send(request, wire.to_json(started), (pidfd,))
    os.close(pidfd)
    request.close()
    process.reset_signals()
    try:
        module.main(fds, header["arguments"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
