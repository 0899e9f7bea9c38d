"""The resident's loop: takes commands from clients, each in a thread, until nobody needs it."""

import gc
import os
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from stackr_engine import trash
from stackr_engine.engine import Engine
from stackr_engine.host import check_host
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import Spawner
from stackr_schemas.errors import StackrError

from stackr import cli
from stackr.client import VERSION
from stackr.restart import restart_delay
from stackr.session import CurrentStream, Request, Session, receive_request
from stackr.supervise import Supervisor

IDLE_EXIT = 900.0
"""Seconds without a command and without a container after which the resident ends."""


class Server:
    """Serves clients with one engine."""

    def __init__(self, listener: socket.socket, engine: Engine):
        self.listener = listener
        self.engine = engine
        self.began = time.time()
        self.sessions = 0
        self.last_used = time.monotonic()

    def run(self) -> None:
        """Serve until idle for long."""
        self.listener.settimeout(60)
        while True:
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                if self._is_idle():
                    return
                continue
            connection.setblocking(True)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _is_idle(self) -> bool:
        running = any(state.wanted == "running" for state in self.engine.containers)
        waited = time.monotonic() - self.last_used
        return not running and not self.sessions and waited > IDLE_EXIT

    def _serve(self, connection: socket.socket) -> None:
        if peer_uid(connection) not in (0, os.getuid()):
            connection.close()
            return
        try:
            request = receive_request(connection)
        except (EOFError, OSError, ValueError):
            connection.close()
            return
        if self._is_stale(request):
            connection.sendall(b"v")
            os._exit(0)  # the client starts the new code's resident, which takes all over
        with suppress(OSError):  # a client that is gone is noticed by its session
            connection.sendall(b"a")
        self.sessions += 1
        trash.give_way(self.engine.paths)
        session = Session(request, connection)
        status = 1
        try:
            status = cli.run(session, self.engine)
        finally:
            if self.sessions == 1:
                self.engine.tidy()  # what failed half-way may have mounted what nobody uses
            session.end(status)
            self.sessions -= 1
            self.last_used = time.monotonic()

    def _is_stale(self, request: Request) -> bool:
        """Tell whether to give way; for an edited file alone, not under others' commands."""
        if request.version != VERSION:
            return True
        return not self.sessions and code_changed_since(self.began)


def code_changed_since(moment: float) -> bool:
    """Tell whether a file of the code that is loaded was written after that time.

    Installing another version, or editing a source file, makes the resident give way, so that
    nobody has to know that there is one.
    """
    files = [
        Path(module.__file__)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("stackr", "stackr_engine", "stackr_schemas")
        and module.__file__
    ]
    try:
        return any(file.stat().st_mtime > moment for file in files)
    except OSError:
        return True  # a file is gone: the code was replaced or removed


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process at the other end (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("iII", data)[1])


def refuse(listener: socket.socket, error: StackrError) -> NoReturn:
    """Tell the first client why there can be no engine, and end: the next one tries again."""
    connection, _ = listener.accept()
    session = Session(receive_request(connection), connection)
    session.end(cli.run(session, error))
    os._exit(1)


def serve(paths: Paths, listener: socket.socket, spawner: Spawner) -> None:
    """Take over what exists, then serve clients; returns when the resident may end."""
    sys.stdout = CurrentStream("stdout", sys.__stdout__ or sys.stdout)
    sys.stderr = CurrentStream("stderr", sys.__stderr__ or sys.stderr)
    try:
        check_host()
        engine = Engine(paths, spawner, restart_delay)
        engine.recover()
        Supervisor(engine)
    except StackrError as error:
        refuse(listener, error)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    gc.collect()
    gc.freeze()  # what is loaded now stays: later collections need not look at it
    Server(listener, engine).run()
    listener.close()
    paths.socket.unlink(missing_ok=True)
    spawner.close()
    os._exit(0)
