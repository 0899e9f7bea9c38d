"""Says how often it was seen."""

import os
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def hits() -> int:
    """Add one to the counter; the cache may still be starting."""
    for attempt in range(50):
        try:
            with socket.create_connection((os.environ["REDIS_HOST"], 6379), timeout=1) as cache:
                cache.sendall(b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n")
                return int(cache.makefile("rb").readline()[1:])
        except OSError:
            if attempt == 49:
                raise
            time.sleep(0.1)
    raise AssertionError


class Handler(BaseHTTPRequestHandler):
    """Any path."""

    def do_GET(self) -> None:
        body = f"Hello World! I have been seen {hits()} times.\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 5000), Handler).serve_forever()
