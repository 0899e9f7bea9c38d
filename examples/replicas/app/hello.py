"""Says who it is."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Any path."""

    def do_GET(self) -> None:
        body = f"{socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Leave the log to the caller."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
