"""Volumes: whole or not at all, filled once with what the image has."""

import os
import stat
import threading
from pathlib import Path

import pytest
from stackr_engine import trash
from stackr_engine.paths import Paths
from stackr_engine.volume import ANONYMOUS, Volumes
from stackr_schemas.errors import Conflict, NotFound, StackrError

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def volumes(paths: Paths) -> Volumes:
    return Volumes(paths)


@pytest.fixture
def lowers(tmp_path: Path) -> tuple[str, ...]:
    """An image of two layers: the upper changes, hides and replaces what the lower has."""
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for layer in (upper, lower):
        (layer / "srv/data").mkdir(parents=True)
    data = lower / "srv/data"
    (data / "kept").write_text("lower")
    (data / "changed").write_text("lower")
    (data / "hidden").write_text("lower")
    for name in ("merged", "opaque"):
        (data / name).mkdir()
        (data / name / "from-lower").write_text("x")
        (upper / "srv/data" / name).mkdir()
        (upper / "srv/data" / name / "from-upper").write_text("x")
    os.setxattr(upper / "srv/data/opaque", "trusted.overlay.opaque", b"y")
    (upper / "srv/data/changed").write_text("upper")
    os.mknod(upper / "srv/data/hidden", stat.S_IFCHR, 0)
    os.chown(upper / "srv/data", 70, 71)
    (upper / "srv/data").chmod(0o2750)
    return (str(upper), str(lower))


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_empty_volume_gets_what_the_merged_image_shows(
    volumes: Volumes, lowers: tuple[str, ...]
) -> None:
    volumes.create("data")
    assert volumes.copy_up("data", lowers, "/srv/data")
    data = volumes.path("data")
    assert tree(data) == {
        *("kept", "changed", "merged", "merged/from-lower", "merged/from-upper"),
        *("opaque", "opaque/from-upper"),
    }
    assert (data / "changed").read_text() == "upper"
    status = data.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (70, 71, 0o2750)


def test_a_file_keeps_owner_mode_time_links_attributes_and_holes(
    volumes: Volumes, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    (layer / "d").mkdir(parents=True)
    file = layer / "d/file"
    with open(file, "wb") as writer:
        writer.write(b"start")
        writer.seek(50 << 20)
        writer.write(b"end")
    os.link(file, layer / "d/second")
    os.symlink("/etc/passwd", layer / "d/link")
    os.chown(file, 5, 6)
    file.chmod(0o4751)
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(file, "security.capability", capability)
    os.utime(file, ns=(1, 1_000_000_001))
    volumes.create("data")
    volumes.copy_up("data", (str(layer),), "d")
    copy = volumes.path("data") / "file"
    status = copy.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (5, 6, 0o4751)
    assert status.st_mtime_ns == 1_000_000_001
    assert os.getxattr(copy, "security.capability") == capability
    assert status.st_nlink == 2
    assert status.st_size == (50 << 20) + 3
    assert status.st_blocks * 512 < 1 << 20
    assert copy.read_bytes() == file.read_bytes()
    assert os.readlink(volumes.path("data") / "link") == "/etc/passwd"


def test_links_in_the_target_path_stay_inside_the_image(volumes: Volumes, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    layer = tmp_path / "layer"
    (layer / "run/app").mkdir(parents=True)
    (layer / "run/app/socket-folder").mkdir()
    (layer / "var").mkdir()
    os.symlink("/run", layer / "var/run")
    os.symlink(f"../../../../../../..{outside}", layer / "out")
    volumes.create("a1")
    assert volumes.copy_up("a1", (str(layer),), "/var/run/app")
    assert tree(volumes.path("a1")) == {"socket-folder"}
    volumes.create("b1")
    assert not volumes.copy_up("b1", (str(layer),), "/out")
    assert tree(volumes.path("b1")) == set()


def test_a_volume_with_content_is_left_alone(volumes: Volumes, lowers: tuple[str, ...]) -> None:
    volumes.create("data")
    (volumes.path("data") / "mine").write_text("x")
    assert not volumes.copy_up("data", lowers, "/srv/data")
    assert tree(volumes.path("data")) == {"mine"}


def test_a_mounted_volume_stays_the_same_folder(volumes: Volumes, lowers: tuple[str, ...]) -> None:
    volumes.create("data")
    mounted = os.open(volumes.path("data"), os.O_RDONLY)
    volumes.copy_up("data", lowers, "/srv/data")
    assert "kept" in os.listdir(mounted)
    os.close(mounted)


def test_a_copy_killed_half_way_is_made_again(
    volumes: Volumes, paths: Paths, lowers: tuple[str, ...]
) -> None:
    volumes.create("data")
    half = paths.volume("data") / "_copying"
    half.mkdir()
    (half / "half").write_text("x")
    volumes.clean()
    assert volumes.copy_up("data", lowers, "/srv/data")
    assert "half" not in tree(volumes.path("data"))
    assert "kept" in tree(volumes.path("data"))


def test_a_copy_killed_while_moving_in_is_finished(
    volumes: Volumes, paths: Paths, lowers: tuple[str, ...]
) -> None:
    volumes.create("data")
    rest = paths.volume("data") / "_copied"
    rest.mkdir(mode=0o750)
    (rest / "second").write_text("x")
    (volumes.path("data") / "first").write_text("x")
    volumes.clean()
    assert tree(volumes.path("data")) == {"first", "second"}
    assert stat.S_IMODE(volumes.path("data").stat().st_mode) == 0o750
    assert not rest.exists()


def test_a_removed_volume_is_gone_with_its_content(volumes: Volumes, paths: Paths) -> None:
    volumes.create("data")
    (volumes.path("data") / "file").write_text("x")
    volumes.remove("data")
    trash.wait(paths)
    assert volumes.list() == []
    assert list(paths.trash.iterdir()) == []
    volumes.create("data")
    assert tree(volumes.path("data")) == set()


def test_a_used_volume_is_not_removed(volumes: Volumes) -> None:
    volumes.create("data")
    with pytest.raises(Conflict, match="in use by web-1"):
        volumes.remove("data", used_by=["web-1"])
    assert volumes.path("data").is_dir()


def test_a_volume_keeps_its_labels(volumes: Volumes, paths: Paths) -> None:
    made = volumes.create("data", {"com.docker.compose.project": "shop"})
    assert Volumes(paths).get("data") == made
    assert volumes.ensure("data", {"other": "x"}) == made
    with pytest.raises(Conflict):
        volumes.create("data")


def test_a_volume_whose_description_was_cut_short_keeps_its_content(
    volumes: Volumes, paths: Paths
) -> None:
    volumes.create("data")
    (volumes.path("data") / "file").write_text("x")
    (paths.volume("data") / "volume.json").write_text("")
    assert [volume.name for volume in volumes.list()] == ["data"]
    assert volumes.ensure("data").labels == {}
    assert tree(volumes.path("data")) == {"file"}


def test_a_volume_without_a_name_gets_64_digits(volumes: Volumes) -> None:
    volume = volumes.create()
    assert len(volume.name) == 64
    assert ANONYMOUS in volume.labels
    assert volumes.list() == [volume]


def test_threads_that_want_one_volume_get_one(volumes: Volumes) -> None:
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.append(volumes.ensure("data").created))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "a", "x" * 256, "a b", "a\n"])
def test_a_name_that_could_be_a_path_is_refused(volumes: Volumes, name: str) -> None:
    with pytest.raises(StackrError, match="cannot be the name"):
        volumes.create(name)
    with pytest.raises(StackrError, match="cannot be the name"):
        volumes.remove(name)


def test_drivers_and_their_options_are_refused_by_name(volumes: Volumes) -> None:
    with pytest.raises(StackrError, match="driver nfs"):
        volumes.create("data", driver="nfs")
    with pytest.raises(StackrError, match="driver_opts are not supported: type, device"):
        volumes.create("data", options={"type": "nfs", "device": ":/x"})


def test_a_missing_volume_is_named(volumes: Volumes) -> None:
    with pytest.raises(NotFound, match="no volume data"):
        volumes.get("data")


def test_what_a_killed_process_was_making_is_cleaned(volumes: Volumes, paths: Paths) -> None:
    (paths.state / "volumes/.0123456789abcdef/_data").mkdir(parents=True)
    volumes.clean()
    assert list((paths.state / "volumes").iterdir()) == []
