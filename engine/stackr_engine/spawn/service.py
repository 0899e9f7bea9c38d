"""Long-lived processes of the engine beside the containers, such as the name resolver."""

from __future__ import annotations

import _socket
import os
import sys

from stackr_engine.spawn import files, process, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
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


class Service:
    """One such process."""

    def __init__(self, header: dict[str, Any], fds: dict[str, int]):
        self.header = header
        self.fds = list(fds.values())
        self.name: str = header["name"]

    def run(self, fd: int) -> NoReturn:
        """Import the module, answer, and be it: its `main(fds, arguments)` is called."""
        sys.path[:], sys.meta_path[:], sys.path_hooks[:] = _saved
        __import__(self.header["module"])
        module = sys.modules[self.header["module"]]
        request = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        pid = os.getpid()
        pidfd = os.pidfd_open(pid)
        started = {"pid": pid, "start_time": files.start_time(pid)}
        wire.send(request, wire.to_json(started), (pidfd,))
        os.close(pidfd)
        request.close()
        process.reset_signals()
        try:
            module.main(self.fds, self.header["arguments"])
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
