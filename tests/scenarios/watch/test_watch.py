"""`stackr watch` and `up --watch`: what is saved is in the containers."""

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.scenarios.runner import Stack, eventually
from tests.scenarios.watch.walk import Walk, tree

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(180)]


@pytest.fixture
def folder(stack: Stack) -> Path:
    for name in ("src", "hooked"):
        (stack.folder / name).mkdir()
    (stack.folder / "settings.ini").write_text("1")
    (stack.folder / "src/first").write_text("first")
    return stack.folder


@contextmanager
def watching(stack: Stack, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a watch that is ready, and interrupt it at the end."""
    process = stack.start(*arguments)
    assert process.stdout
    lines: list[str] = []
    while "Watch enabled" not in lines:
        line = process.stdout.readline()
        assert line, (lines, process.stderr and process.stderr.read())
        lines.append(line.rstrip("\n"))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def inside(stack: Stack, index: int, script: str, service: str = "app") -> str:
    done = stack.attempt("exec", "-T", "--index", str(index), service, "sh", "-c", script)
    return done.out


def copy_of(stack: Stack, number: int, target: str = "/opt/app") -> Path:
    """A replica's folder as the host can read it."""
    found = stack.ps()[f"watch-app-{number}"]["ID"]
    folder = next((stack.paths.state / "containers").glob(f"{found}*"))
    return Path(f"{folder}/upper{target}")


def test_what_is_saved_reaches_all_replicas_as_the_image_user(stack: Stack, folder: Path) -> None:
    with watching(stack, "watch", "app"):
        assert inside(stack, 1, "cat /opt/app/first") == "first"
        (folder / "src/new").write_text("new")
        (folder / "src/skipped").mkdir()
        (folder / "src/skipped/file").write_text("no")
        (folder / "src/.new.swp").write_text("no")
        for number in (1, 2):
            eventually(lambda n=number: inside(stack, n, "cat /opt/app/new") == "new")
            assert inside(stack, number, "stat -c %u:%g /opt/app/new") == "1000:1001\n"
            assert inside(stack, number, "ls -A /opt/app").split() == ["first", "new"]


def test_a_changed_file_restarts_and_a_command_runs(stack: Stack, folder: Path) -> None:
    with watching(stack, "watch", "app") as process:
        (folder / "settings.ini").write_text("2")
        eventually(lambda: stack.logs("app").count("started") == 4)
        eventually(lambda: inside(stack, 1, "cat /opt/settings.conf") == "2")
        (folder / "hooked/f").write_text("this\n")
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert 'service(s) ["app"] restarted\n' in lines
        assert "ran it on this\n" in lines


def test_a_bind_mounted_folder_needs_no_copy(stack: Stack, folder: Path) -> None:
    with watching(stack, "up", "--watch", "seen") as process:
        (folder / "src/new").write_text("new")
        assert process.stdout
        missing = {'service(s) ["seen"] restarted\n', "seen-1  | started\n"}  # in either order
        while missing:
            missing.discard(process.stdout.readline())
        assert (folder / "src/new").stat().st_uid == 0


def test_what_changed_while_nobody_watched_is_found(stack: Stack, folder: Path) -> None:
    with watching(stack, "watch", "app"):
        assert inside(stack, 2, "cat /opt/app/first") == "first"
    (folder / "src/first").unlink()
    (folder / "src/second").write_text("second")
    with watching(stack, "watch", "app"):
        assert inside(stack, 2, "ls /opt/app") == "second\n"
    (folder / "src/second").write_text("third")
    stack.run("stop", "app")
    with watching(stack, "watch", "--no-up", "app"):
        assert (copy_of(stack, 1) / "second").read_text() == "third"


def test_a_recreated_container_gets_everything_again(stack: Stack, folder: Path) -> None:
    with watching(stack, "watch", "app"):
        (folder / "src/new").write_text("new")
        eventually(lambda: inside(stack, 1, "cat /opt/app/new") == "new")
        stack.run("up", "-d", "--force-recreate", "app")
        eventually(lambda: inside(stack, 1, "cat /opt/app/new") == "new")
        eventually(lambda: inside(stack, 2, "cat /opt/app/first") == "first")


def test_what_cannot_be_done_is_refused_by_its_place(stack: Stack, folder: Path) -> None:
    done = stack.attempt("watch", "rebuilt")
    assert done.status == 1
    assert "stack.yaml:" in done.err
    assert "rebuild is not supported yet" in done.err
    (folder / "hooked").rmdir()
    assert "hooked does not exist" in stack.attempt("up", "--watch", "app").err
    assert stack.states() == {}


def test_a_random_walk_ends_equal_at_every_pause(stack: Stack, folder: Path) -> None:
    walk = Walk(folder / "src", random.Random(os.environ.get("STACKR_WALK_SEED", "7")))
    with watching(stack, "watch", "app"):
        copies = [copy_of(stack, number) for number in (1, 2)]
        for _ in range(int(os.environ.get("STACKR_WALK_PAUSES", "15"))):
            for _ in range(walk.random.randint(1, 40)):
                walk.step()
            for copy in copies:
                with suppress(AssertionError):
                    eventually(lambda c=copy: tree(c) == tree(folder / "src"), 5)
                assert tree(copy) == tree(folder / "src")
