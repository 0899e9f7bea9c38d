"""A registry in a thread that answers as a test tells it to, truthfully or not."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.engine.image.archives import Layout, sha256

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Answer:
    """One answer; `cut` bytes of the body are announced and never come."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Hook = Callable[[Request], Answer | None]


class FakeRegistry:
    """Serves an image; hooks are asked before that, the newest first."""

    def __init__(self, host: str):
        self.host = host
        self.requests: list[Request] = []
        self.hooks: list[tuple[str, re.Pattern[str], Hook]] = []
        self.layout = Layout()
        self.tags: dict[str, str] = {}

    def publish(self, name: str, *layers: bytes, **run: Any) -> str:
        """Offer an image as `host/team/NAME`; return the manifest's digest."""
        digest = str(self.layout.manifest(*layers, **run)["digest"])
        self.tags[name.rpartition(":")[2]] = digest
        return digest

    def on(self, method: str, path: str, hook: Hook) -> None:
        """Ask `hook` about requests whose path matches; None lets the next one answer."""
        self.hooks.insert(0, (method, re.compile(path), hook))

    def once(self, method: str, path: str, *answers: Answer) -> None:
        """Give these answers, each once, before what else there is."""
        left = list(answers)
        self.on(method, path, lambda request: left.pop(0) if left else None)

    def seen(self, method: str, path: str) -> list[Request]:
        """Return the matching requests that came."""
        return [one for one in self.requests if one.method == method and re.search(path, one.path)]

    def blob(self, digest: str) -> bytes | None:
        return self.layout.files.get(f"blobs/sha256/{digest.removeprefix('sha256:')}")

    def answer(self, request: Request) -> Answer:
        for method, pattern, hook in list(self.hooks):
            if method == request.method and pattern.search(request.path):
                found = hook(request)
                if found is not None:
                    return found
        return self.plain_answer(request)

    def plain_answer(self, request: Request) -> Answer:
        kind, _, name = request.path.partition("?")[0].rpartition("/")
        if request.path == "/v2/":
            return Answer()
        data = self.blob(self.tags.get(name, name))
        if data is None:
            text = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            return Answer(404, json.dumps(text).encode())
        if kind.endswith("/manifests"):
            return Answer(
                200, data, {"Content-Type": MANIFEST, "Docker-Content-Digest": sha256(data)}
            )
        return ranged(request, data)


def ranged(request: Request, data: bytes) -> Answer:
    """Serve a part, if one is asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if asked is None:
        return Answer(200, data)
    begin = int(asked[1])
    place = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    return Answer(206, data[begin:], {"Content-Range": place})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, dict(self.headers), self.rfile.read(size))
        self.registry.requests.append(request)
        answer = self.registry.answer(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) - answer.cut])
        if answer.cut:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


@contextmanager
def serving() -> Iterator[FakeRegistry]:
    """Run a registry on loopback."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    registry = FakeRegistry(f"127.0.0.1:{server.server_address[1]}")
    handler.registry = registry  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
