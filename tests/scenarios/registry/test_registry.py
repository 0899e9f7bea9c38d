"""A real registry server on loopback: what is pushed there runs from there."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.runner import Stack, eventually

pytestmark = pytest.mark.requires("root", "overlayfs", "docker-registry")

CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""
# `htpasswd -nbB me secret`
PASSWORD = "me:$2y$05$JC8BvVUbKlA1YF2pl4ANeO1MmYmn4pwfCue.e8g5IAWnUNnl7bTo."


@dataclass
class Server:
    """A registry, and its host as it is written in names."""

    host: str
    folder: Path


def serve(folder: Path, port: int, auth: str = "") -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port, auth=auth))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: answers(port))
    return process


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/").close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False
    return True


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[Server]:
    process = serve(tmp_path / "server", port)
    yield Server(f"127.0.0.1:{port}", tmp_path / "server")
    process.terminate()
    process.wait()


@pytest.fixture
def image(stack: Stack, server: Server) -> str:
    """An image in the registry alone: sleep, its libraries, and some megabytes."""
    root = stack.folder / "root"
    (root / "bin").mkdir(parents=True)
    program = str(shutil.which("sleep"))
    shutil.copy(program, root / "bin/sleep")
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for word in text.split():
        if word.startswith("/"):
            (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, root / word[1:])
    (root / "noise").write_bytes(os.urandom(20 << 20))
    name = f"{server.host}/team/tool:1"
    stack.variables["IMAGE"] = name
    stack.variables["HOME"] = str(stack.folder)
    stack.run("import", "root", name)
    assert stack.run("push", name).strip() == name
    stack.run("rmi", name)
    return name


def test_up_pulls_what_is_missing_with_a_line_a_layer(stack: Stack, image: str) -> None:
    done = stack.attempt("up", "-d")
    assert done.status == 0, done
    assert f"Image {image}  Pulled" in done.err
    assert "Pull complete" in done.err
    assert stack.states() == {"tool-1": "running"}
    assert "Layer" not in stack.attempt("up", "-d").err


def test_never_does_not_pull_and_names_the_line(stack: Stack, image: str) -> None:
    stack.variables["POLICY"] = "never"
    done = stack.attempt("up", "-d")
    assert done.status == 1
    assert "stack.yaml:3:" in done.err
    assert f"no image {image}" in done.err


def test_always_takes_the_new_image(stack: Stack, image: str) -> None:
    stack.run("up", "-d")
    first = stack.ps()["registry-tool-1"]["ID"]
    (stack.folder / "root/new").write_text("new")
    stack.run("import", "root", "other:1")
    stack.run("tag", "other:1", image)
    stack.run("push", image)
    stack.run("down")
    stack.run("rmi", "other:1")
    stack.variables["POLICY"] = "always"
    assert "Up to date" not in stack.attempt("up", "-d").err
    assert stack.ps()["registry-tool-1"]["ID"] != first
    done = stack.attempt("up", "-d")
    assert "Up to date" in done.err


def test_dry_run_pulls_nothing(stack: Stack, image: str) -> None:
    done = stack.attempt("up", "--dry-run")
    assert done.status == 1
    assert "no image" in done.err
    assert stack.run("images", "-q") == ""


def test_what_is_not_there_is_told_with_its_line(stack: Stack, server: Server) -> None:
    stack.variables["IMAGE"] = f"{server.host}/nothing:1"
    done = stack.attempt("up", "-d")
    assert done.status == 1
    assert "stack.yaml:3:" in done.err
    assert "nothing:1 is not in the registry" in done.err


def test_a_killed_resident_leaves_a_store_from_which_the_pull_goes_on(
    stack: Stack, image: str
) -> None:
    pull = stack.start("pull", image)
    partial = stack.paths.state / "images/partial"
    eventually(lambda: any(partial.glob("*")) or pull.poll() is not None)
    stack.kill("resident")
    pull.communicate(timeout=20)
    assert stack.run("pull", "-q", image).strip() == image
    assert list(partial.glob("*")) == []
    stack.run("up", "-d")
    for blob in (stack.paths.state / "images/blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_an_interrupted_pull_ends_soon_and_can_go_on(stack: Stack, image: str) -> None:
    pull = stack.start("pull", image)
    time.sleep(0.15)
    pull.send_signal(signal.SIGINT)
    pull.communicate(timeout=10)
    assert pull.returncode in (0, 130)
    stack.run("pull", image)


def test_login_keeps_what_the_registry_takes(stack: Stack, tmp_path: Path, port: int) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server/htpasswd").write_text(PASSWORD + "\n")
    auth = f"auth: {{htpasswd: {{realm: here, path: {tmp_path / 'server/htpasswd'}}}}}"
    process = serve(tmp_path / "server", port, auth)
    host = f"127.0.0.1:{port}"
    try:
        stack.variables.update(HOME=str(tmp_path), IMAGE="none")
        wrong = stack.attempt("login", "-u", "me", "--password-stdin", host, stdin="wrong\n")
        assert wrong.status == 1
        assert "does not accept the credentials" in wrong.err
        assert not (tmp_path / ".docker").exists()
        done = stack.attempt("login", "-u", "me", "--password-stdin", host, stdin="secret\n")
        assert (done.status, done.out) == (0, "Login Succeeded\n"), done
        tree = json.loads((tmp_path / ".docker/config.json").read_text())
        assert tree == {"auths": {host: {"auth": base64.b64encode(b"me:secret").decode()}}}
        missing = stack.attempt("pull", f"{host}/x:1")
        assert "is not in the registry" in missing.err
        assert "Removed" in stack.run("logout", host)
        refused = stack.attempt("pull", f"{host}/x:1")
        assert f"stackr login {host}" in refused.err
    finally:
        process.terminate()
        process.wait()
