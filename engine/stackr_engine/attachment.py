"""A connection to a running container's streams, which its shim holds."""

import os
import socket
import struct

from stackr_schemas.errors import StackrError

from stackr_engine.spawn.wire import descriptors


class Attachment:
    """Output as packets on `socket`, whose first byte is 1 (stdout) or 2 (stderr).

    `stdin` is the descriptor to write input to, None where the container takes none.
    """

    def __init__(self, connection: socket.socket):
        # Not socket.recv_fds, which (up to Python 3.13) forgets its flags.
        hello, ancillary, _, _ = connection.recvmsg(
            1, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
        )
        fds = descriptors(ancillary)
        if not hello:
            raise StackrError("the container ended before anyone could attach to it")
        self.socket = connection
        self.stdin = fds[0] if fds else None

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the container's terminal."""
        self.socket.send(b"w" + struct.pack("<HH", rows, columns))

    def close_stdin(self) -> None:
        """Let the container read the end of its input."""
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None
        self.socket.send(b"c")

    def close(self) -> None:
        """Detach; the container runs on."""
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None
        self.socket.close()
