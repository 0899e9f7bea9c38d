"""The guestbook's page: `GET /` shows it, `GET /entries` is it as JSON, `POST /` signs it."""

import html
import json
import os
import socket
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import ask

STORE = os.environ["STORE"]
PAGE = """<!doctype html><meta charset="utf-8"><title>Guestbook</title>
<h1>Guestbook</h1>
<form method="post"><input name="name" placeholder="name" required>
<input name="text" placeholder="what you want to say" required><button>Sign</button></form>
<ul>{entries}</ul>
<p>{words} words so far, counted by the worker. Served by {host}.</p>
"""


def page() -> str:
    """The page with all entries, newest first."""
    lines = [
        f"<li><b>{html.escape(entry['name'])}</b>: {html.escape(entry['text'])}</li>"
        for entry in reversed(ask(STORE, "get", "entries"))
    ]
    words = ask(STORE, "get", "words") or [0]
    return PAGE.format(entries="".join(lines), words=words[-1], host=socket.gethostname())


class Handler(BaseHTTPRequestHandler):
    """The three requests."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.reply(200, "text/html", page())
        elif self.path == "/entries":
            entries, words = ask(STORE, "get", "entries"), ask(STORE, "get", "words") or [0]
            answer = {"entries": entries, "words": words[-1]}
            self.reply(200, "application/json", json.dumps(answer) + "\n")
        else:
            self.reply(404, "text/plain", "not here\n")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        entry = {field: form.get(field, [""])[0] for field in ("name", "text")}
        if not all(entry.values()):
            self.reply(400, "text/plain", "name and text are needed\n")
            return
        ask(STORE, "append", "entries", entry)
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    print("web: listening on port 8000", flush=True)
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
