"""A cache in memory that knows INCR and PING of Redis' protocol."""

import socketserver
import threading

COUNTS: dict[bytes, int] = {}
LOCK = threading.Lock()


class Handler(socketserver.StreamRequestHandler):
    """One connection; a command is an array of byte strings."""

    def handle(self) -> None:
        while header := self.rfile.readline():
            words = [self.word() for _ in range(int(header[1:]))]
            self.wfile.write(reply(words))

    def word(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


def reply(words: list[bytes]) -> bytes:
    """Do one command."""
    match words:
        case [b"INCR", key]:
            with LOCK:
                COUNTS[key] = COUNTS.get(key, 0) + 1
                return b":%d\r\n" % COUNTS[key]
        case [b"PING"]:
            return b"+PONG\r\n"
    return b"-ERR unknown command\r\n"


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(("", 6379), Handler).serve_forever()
