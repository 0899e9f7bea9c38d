"""Asks the store; as a program: `client.py HOST:PORT DO [KEY [VALUE]]`."""

import json
import socket
import sys
from typing import Any


def ask(address: str, do: str, key: str = "", value: Any = None) -> Any:
    """Send one request and return the answer."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        request = {"do": do, "key": key, "value": value}
        connection.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(connection.makefile().readline())


if __name__ == "__main__":
    print(json.dumps(ask(*sys.argv[1:])))
