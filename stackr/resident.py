"""The resident: the warm process that carries out every command of one user.

It may die at any instant and loses nothing: containers, their output and exit statuses live on
with their shims, and the next resident takes them over. The order here matters: the socket
listens before the imports (a client waits for nothing that it can do meanwhile), and the spawner
is forked before the first thread and before anything heavy is in memory.
"""

import fcntl
import os
import socket
import sys

from stackr_engine.paths import Paths
from stackr_engine.spawn.client import Spawner


def main(ready: int) -> None:
    """Become this user's resident, or exit at once if there is one already."""
    paths = Paths.from_environment()
    paths.make()
    lock = os.open(paths.run / "resident.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    redirect_errors(paths)
    listener = listen(paths)
    os.write(ready, b"\n")
    os.close(ready)
    os.chdir("/")
    spawner = Spawner.fork(paths)
    from stackr.serve import serve

    serve(paths, listener, spawner)


def listen(paths: Paths) -> socket.socket:
    """Listen on the resident's socket; with the lock held, an old socket is a dead one's."""
    paths.socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.umask(0o077)  # from before the socket exists: nobody else may connect, not for an instant
    listener.bind(str(paths.socket))
    os.umask(0o022)
    listener.listen(128)
    return listener


def redirect_errors(paths: Paths) -> None:
    """Send what Python prints to the log in the run folder, begun anew at 1 MB."""
    file = paths.run / "resident.log"
    mode = os.O_TRUNC if file.exists() and file.stat().st_size > 1_000_000 else os.O_APPEND
    log = os.open(file, os.O_WRONLY | os.O_CREAT | mode, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
