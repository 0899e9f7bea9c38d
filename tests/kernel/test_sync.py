"""Writing into a container's folder: whole, with the right owner, and never through a link."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.sync import STAGED, Owner, Tree, below

pytestmark = pytest.mark.requires("root")
OWNER = Owner(1000, 1001)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "root/target"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def written(target: Path) -> Iterator[Tree]:
    tree = Tree(os.open(target, os.O_RDONLY | os.O_DIRECTORY), OWNER)
    yield tree
    tree.close()
    assert STAGED not in os.listdir(target)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source"
    file.write_text("content")
    file.chmod(0o750)
    os.utime(file, ns=(1, 5_000_000_007))
    return file


def test_a_file_has_mode_time_and_the_containers_owner(
    written: Tree, target: Path, source: Path
) -> None:
    written.write_file("a/b/file", str(source))
    status = (target / "a/b/file").stat()
    assert (target / "a/b/file").read_text() == "content"
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o750, 5_000_000_007)
    assert (status.st_uid, status.st_gid) == (1000, 1001)
    assert (target / "a/b").stat().st_uid == 1000


def test_who_reads_the_old_file_goes_on_reading_it(
    written: Tree, target: Path, source: Path
) -> None:
    (target / "file").write_text("the old one")
    with (target / "file").open() as reader:
        written.write_file("file", str(source))
        assert reader.read() == "the old one"
    assert (target / "file").read_text() == "content"


def test_no_link_of_the_container_leads_out(
    written: Tree, target: Path, tmp_path: Path, source: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("kept")
    for name in ("written", "removed", "made"):
        (target / name).symlink_to(outside)
    (target / "file").symlink_to(outside / "victim")
    written.write_file("written/victim", str(source))
    written.remove("removed/victim")
    written.make_folder("made", 0o711)
    written.write_file("file", str(source))
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "kept"
    assert (target / "written/victim").read_text() == "content"
    assert not (target / "file").is_symlink()
    assert not (target / "made").is_symlink()


def test_paths_that_climb_are_refused(written: Tree, target: Path, source: Path) -> None:
    with pytest.raises(OSError, match="cross-device"):
        written.write_file("../escaped", str(source))
    assert not (target.parent / "escaped").exists()


def test_what_stands_in_the_way_gives_way(written: Tree, target: Path, source: Path) -> None:
    (target / "folder/below").mkdir(parents=True)
    (target / "file").write_text("")
    (target / "other").mkdir()
    written.write_file("folder", str(source))
    written.write_file("file/now/a/folder", str(source))
    written.write_link("other", "/etc/passwd")
    assert (target / "folder").is_file()
    assert (target / "file/now/a/folder").is_file()
    assert os.readlink(target / "other") == "/etc/passwd"
    assert (target / "other").lstat().st_uid == 1000


def test_a_folder_goes_with_everything_in_it(written: Tree, target: Path, source: Path) -> None:
    written.write_file("a/b/c", str(source))
    written.remove("a")
    written.remove("never/was")
    assert list(target.iterdir()) == []
    written.write_file("a/b/c", str(source))  # whose descriptors were closed with it
    assert (target / "a/b/c").exists()


def test_what_a_killed_writer_left_is_no_obstacle(
    written: Tree, target: Path, source: Path
) -> None:
    (target / STAGED).write_text("half")
    written.write_file("file", str(source))
    (target / STAGED).write_text("half")
    written.write_link("link", "file")
    assert sorted(path.name for path in target.iterdir()) == ["file", "link"]


def test_a_source_that_is_no_file_any_more_is_said(
    written: Tree, target: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing"):
        with pytest.raises(FileNotFoundError):
            written.write_file("file", str(tmp_path / name))
    assert list(target.iterdir()) == []


def test_below_compares_whole_names() -> None:
    assert below("/srv/app/src", "/srv/app") == "src"
    assert below("/srv/app", "/srv/app/") == ""
    assert below("/srv/application", "/srv/app") is None
