"""What stays, what is shared and what goes."""

import pytest

from tests.scenarios.runner import Stack

pytestmark = pytest.mark.requires("root", "overlayfs")


def sh(stack: Stack, service: str, script: str) -> str:
    return stack.run("exec", "-T", service, "sh", "-c", script)


def test_a_named_volume_is_shared_and_outlives_down_but_not_down_v(stack: Stack) -> None:
    stack.run("up", "-d")
    sh(stack, "one", "echo kept > /data/file")
    assert sh(stack, "two", "cat /elsewhere/file") == "kept\n"
    stack.run("down")
    stack.run("up", "-d")
    assert sh(stack, "one", "cat /data/file") == "kept\n"
    stack.run("down", "-v")
    assert not (stack.paths.state / "volumes" / "volumes_data").exists()
    stack.run("up", "-d")
    assert sh(stack, "one", "ls /data") == ""


def test_what_a_container_writes_elsewhere_goes_with_it(stack: Stack) -> None:
    stack.run("up", "-d", "one")
    sh(stack, "one", "echo gone > /etc/stackr-scenario; echo kept > /anonymous/file")
    stack.variables["CHANGE"] = "recreate it"
    stack.run("up", "-d", "one")
    assert sh(stack, "one", "ls /etc/stackr-scenario 2>&1 || true").endswith(
        "No such file or directory\n"
    )
    assert sh(stack, "one", "cat /anonymous/file") == "kept\n"  # as Compose: taken over


def test_a_bind_mount_shows_the_host_and_ro_refuses_to_write(stack: Stack) -> None:
    stack.run("up", "-d", "one")
    assert sh(stack, "one", "cat /folder/file") == "from the host\n"
    (stack.folder / "folder" / "file").write_text("changed\n")
    assert sh(stack, "one", "cat /folder/file") == "changed\n"
    done = stack.attempt("exec", "-T", "one", "sh", "-c", "echo x > /folder/file")
    assert done.status != 0
    assert "Read-only file system" in done.err


def test_a_tmpfs_has_its_size(stack: Stack) -> None:
    stack.run("up", "-d", "one")
    assert sh(stack, "one", "df -k /scratch | tail -1").split()[1] == "1024"
