"""Images without a registry, from a folder to a running container and back to an archive."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.scenarios.runner import Stack, eventually

pytestmark = pytest.mark.requires("root", "overlayfs")

CHANGES = (
    'CMD ["/bin/sh", "-c", "echo $GREETING; cat /data/file; exec /bin/sleep 1000"]',
    "ENV GREETING=hello",
    "VOLUME /data",
    "WORKDIR /data",
    "LABEL made-by=test",
)


@pytest.fixture
def rootfs(stack: Stack) -> Path:
    """A small root file system: a shell, cat and sleep of this machine, and their libraries."""
    root = stack.folder / "root file system"
    (root / "bin").mkdir(parents=True)
    for name in ("sh", "cat", "sleep"):
        program = str(shutil.which(name))
        shutil.copy(program, root / "bin" / name)
        text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for word in text.split():
            if word.startswith("/"):
                (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, root / word[1:])
    (root / "data").mkdir()
    (root / "data/file").write_text("from the image\n")
    return root


def imported(stack: Stack, rootfs: Path, name: str = "tools:1") -> str:
    changes = [word for change in CHANGES for word in ("-c", change)]
    return stack.run("import", *changes, rootfs.name, name).strip()


def assert_it_says_what_its_config_wants(stack: Stack) -> None:
    eventually(lambda: stack.logs("tool") == ["hello", "from the image"])


def test_a_folder_is_imported_and_runs_as_its_config_says(stack: Stack, rootfs: Path) -> None:
    image_id = imported(stack, rootfs)
    stack.run("up", "-d")
    assert_it_says_what_its_config_wants(stack)
    [row] = map(json.loads, stack.run("images", "--format", "json").splitlines())
    assert (row["Repository"], row["Tag"]) == ("tools", "1")
    assert row["ID"] == image_id.removeprefix("sha256:")[:12]
    assert stack.run("images", "-q", "--no-trunc").strip() == image_id


def test_an_image_is_saved_removed_loaded_and_runs_again(stack: Stack, rootfs: Path) -> None:
    image_id = imported(stack, rootfs)
    stack.run("up", "-d")
    stack.run("save", "tools:1", "-o", "tools.tar")
    done = stack.attempt("rmi", "tools:1")
    assert done.status == 1
    assert "is used by images-tool-1" in done.err
    stack.run("down", "-v")
    assert stack.run("rmi", "tools:1") == f"Untagged: tools:1\nDeleted: {image_id}\n"
    done = stack.attempt("up", "-d", "--pull", "never")
    assert done.status == 1
    assert "stack.yaml:3:" in done.err
    assert "tools:1" in done.err
    assert stack.run("load", "-i", "tools.tar") == "Loaded image: tools:1\n"
    stack.run("up", "-d")
    assert_it_says_what_its_config_wants(stack)


def test_an_image_in_oci_layout_runs_in_place(stack: Stack, rootfs: Path) -> None:
    imported(stack, rootfs)
    stack.run("save", "tools:1", "-o", "tools.tar")
    with tarfile.open(stack.folder / "tools.tar") as archive:
        archive.extractall(stack.folder / "layout", filter="data")
    stack.run("rmi", "tools:1")
    stack.variables["IMAGE"] = "oci:./layout:1"
    stack.run("up", "-d")
    assert_it_says_what_its_config_wants(stack)


def test_a_folder_runs_without_import_and_is_never_written(stack: Stack, rootfs: Path) -> None:
    stack.variables["IMAGE"] = f"rootfs:./{rootfs.name}"
    script = "echo changed > /data/file; read line < /data/file; echo $line"
    assert stack.run("run", "--rm", "-T", "tool", "/bin/sh", "-c", script) == "changed\n"
    assert (rootfs / "data/file").read_text() == "from the image\n"


def test_a_newer_image_of_the_same_name_recreates_the_container(stack: Stack, rootfs: Path) -> None:
    imported(stack, rootfs)
    stack.run("up", "-d")
    first = stack.ps()["images-tool-1"]["ID"]
    stack.run("up", "-d")
    assert stack.ps()["images-tool-1"]["ID"] == first
    (rootfs / "new").touch()
    imported(stack, rootfs)
    stack.run("up", "-d")
    assert stack.ps()["images-tool-1"]["ID"] != first


def test_wrong_use_is_told_in_one_line(stack: Stack) -> None:
    (stack.folder / "text").write_text("no archive" * 100)
    for arguments, message in {
        ("load", "missing.tar"): "no file missing.tar",
        ("load", "text"): "not a tar archive",
        ("import", "text", "x"): "not a tar archive",
        ("import", "text", "Bad Name"): "is not an image name",
        ("save", "nothing"): "no image nothing",
        ("tag", "nothing", "other"): "no image nothing",
        ("rmi", "nothing"): "no image nothing",
    }.items():
        done = stack.attempt(*arguments)
        assert done.status == 1, arguments
        assert message in done.err, arguments
        assert done.err.count("\n") == 1, done.err
