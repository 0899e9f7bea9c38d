"""What the READMEs of the examples promise."""

import json
import urllib.parse
import urllib.request

import pytest

from tests.scenarios.runner import Stack, eventually

pytestmark = pytest.mark.requires("root", "overlayfs")


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def sign(port: int, name: str, text: str) -> None:
    form = urllib.parse.urlencode({"name": name, "text": text}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=form, timeout=5).close()


@pytest.mark.parametrize("stack", ["guestbook"], indirect=True)
def test_the_guestbook_answers_as_soon_as_up_returns(stack: Stack, port: int) -> None:
    stack.run("up", "-d", "--wait")
    sign(port, "Ada", "hello there")
    sign(port, "Alan", "good evening to you")
    eventually(lambda: json.loads(get(port, "/entries"))["words"] == 6)
    assert "<b>Ada</b>: hello there" in get(port)


@pytest.mark.parametrize("stack", ["guestbook"], indirect=True)
def test_the_guestbook_keeps_its_entries_over_down_and_up(stack: Stack, port: int) -> None:
    stack.run("up", "-d", "--wait")
    sign(port, "Ada", "hello there")
    stack.run("down")
    stack.run("up", "-d", "--wait")
    assert json.loads(get(port, "/entries"))["entries"] == [{"name": "Ada", "text": "hello there"}]
    stack.run("down", "-v")
    stack.run("up", "-d", "--wait")
    assert json.loads(get(port, "/entries"))["entries"] == []


@pytest.mark.parametrize("stack", ["guestbook"], indirect=True)
def test_the_guestbook_in_ps_exec_and_logs(stack: Stack, port: int) -> None:
    stack.run("up", "-d", "--wait")
    found = stack.ps()
    assert {name: one["State"] for name, one in found.items()} == {
        "guestbook-store-1": "running",
        "guestbook-web-1": "running",
        "guestbook-worker-1": "running",
    }
    assert found["guestbook-store-1"]["Health"] == "healthy"
    published = found["guestbook-web-1"]["Publishers"][0]
    assert (published["TargetPort"], published["PublishedPort"]) == (8000, port)
    resolve = "import socket; socket.gethostbyname('store')"
    stack.run("exec", "-T", "web", "python3", "-c", resolve)
    assert stack.logs("web")[0] == "web: listening on port 8000"


@pytest.mark.parametrize("stack", ["guestbook"], indirect=True)
def test_only_the_guestbooks_web_reaches_out(stack: Stack) -> None:
    stack.run("up", "-d", "--wait")
    lines = "import sys; print(open('/proc/net/route').read())"
    routes = {
        service: [
            line.split()[1]
            for line in stack.run("exec", "-T", service, "python3", "-c", lines).splitlines()[1:]
            if line
        ]
        for service in ("web", "store", "worker")
    }
    assert "00000000" in routes["web"]
    assert "00000000" not in routes["store"] + routes["worker"]


@pytest.mark.parametrize("stack", ["counter"], indirect=True)
def test_the_counter_counts(stack: Stack, port: int) -> None:
    stack.run("up", "-d")
    eventually(lambda: stack.states() == {"redis-1": "running", "web-1": "running"})
    texts = [get_when_up(port), get(port), get(port)]
    assert texts[2] == "Hello World! I have been seen 3 times.\n"


@pytest.mark.parametrize("stack", ["migration"], indirect=True)
def test_the_migration_runs_before_the_application(stack: Stack) -> None:
    stack.run("up", "-d")
    assert stack.states() == {"app-1": "running", "migrate-1": "exited"}
    assert stack.logs("migrate")[-1] == "migrate: 2 steps done, version 2"
    eventually(lambda: "app: visit 1" in stack.logs("app"))
    again = stack.run("run", "--rm", "-T", "migrate")
    assert again.splitlines()[-1] == "migrate: 0 steps done, version 2"


@pytest.mark.parametrize("stack", ["replicas"], indirect=True)
def test_a_name_reaches_all_replicas(stack: Stack) -> None:
    stack.run("up", "-d", "--scale", "hello=4")
    eventually(lambda: "caller: 4 replicas" in stack.run("logs", "-n", "1", "caller"), 30)


def get_when_up(port: int) -> str:
    """The first answer: `up` does not wait where a stack has no health check."""
    answers: list[str] = []

    def answered() -> bool:
        try:
            answers.append(get(port))
        except OSError:
            return False
        return True

    eventually(answered)
    return answers[0]
