"""A key-value store of lists: one JSON request a line over TCP, kept in an append-only file.

{"do": "append", "key": K, "value": V} adds V to the list K; {"do": "put", …} makes the list [V];
{"do": "get", "key": K} and {"do": "keys"} read. The answer is one JSON line.
"""

import json
import os
import socketserver
import threading
from pathlib import Path
from typing import Any

Request = dict[str, Any]


class Store:
    """Lists by key; every change is on disk before it is answered."""

    def __init__(self, file: Path):
        self.lists: dict[str, list[Any]] = {}
        self.lock = threading.Lock()
        if file.exists():
            for line in file.read_text().splitlines():
                self.change(json.loads(line))
        self.log = file.open("a")

    def change(self, request: Request) -> None:
        if request["do"] == "put":
            self.lists[request["key"]] = []
        self.lists.setdefault(request["key"], []).append(request["value"])

    def answer(self, request: Request) -> Any:
        with self.lock:
            if request["do"] == "keys":
                return sorted(self.lists)
            if request["do"] in ("append", "put"):
                self.log.write(json.dumps(request) + "\n")
                self.log.flush()
                os.fsync(self.log.fileno())
                self.change(request)
            return self.lists.get(request["key"], [])


class Handler(socketserver.StreamRequestHandler):
    """One connection: a line in, a line out, until it closes."""

    def handle(self) -> None:
        for line in self.rfile:
            answer = STORE.answer(json.loads(line))
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection; a restart may take the port at once."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    STORE = Store(Path(os.environ["FILE"]))
    print(f"store: {sum(map(len, STORE.lists.values()))} values read", flush=True)
    with Server(("", int(os.environ["PORT"])), Handler) as server:
        server.serve_forever()
