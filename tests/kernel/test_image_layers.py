"""Layers as overlayfs shows them, and files as tar programs pack them."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stackr_engine.image.pack import pack_folder
from stackr_engine.image.unpacking import unpack
from stackr_engine.spawn.rootfs import mount_overlay
from stackr_engine.spawn.syscalls import MNT_DETACH, umount2

from tests.engine.image.archives import entry, folder, link, sha256, tar

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def layers(tmp_path: Path) -> "Layers":
    return Layers(tmp_path)


class Layers:
    """Layers unpacked one above the other."""

    def __init__(self, base: Path):
        self.base = base
        self.folders: list[Path] = []

    def add(self, archive: bytes) -> Path:
        folder = self.base / f"l{len(self.folders)}"
        folder.mkdir()
        below = tuple(str(path) for path in reversed(self.folders))
        unpack(io.BytesIO(archive), str(folder), below, sha256(archive))
        self.folders.append(folder)
        return folder

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """The merged tree as a container sees it."""
        root, upper, work = (str(self.base / name) for name in ("root", "upper", "work"))
        for path in (root, upper, work):
            os.makedirs(path, exist_ok=True)
        mount_overlay(root, [str(path) for path in reversed(self.folders)], upper, work)
        try:
            yield Path(root)
        finally:
            umount2(root, MNT_DETACH)

    def tree(self) -> set[str]:
        with self.mounted() as root:
            return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_a_whiteout_hides_a_file_and_a_folder(layers: Layers) -> None:
    layers.add(tar(folder("d"), entry("d/f"), entry("d/g"), folder("e"), entry("e/x")))
    layers.add(tar(entry("d/.wh.f"), entry(".wh.e")))
    assert layers.tree() == {"d", "d/g"}


def test_an_opaque_folder_shows_only_its_own(layers: Layers) -> None:
    layers.add(tar(folder("d"), entry("d/old")))
    layers.add(tar(folder("d"), entry("d/new"), entry("d/.wh..wh..opq")))
    assert layers.tree() == {"d", "d/new"}


def test_an_opaque_root_hides_everything_below(layers: Layers) -> None:
    layers.add(tar(folder("d"), entry("d/old"), entry("f"), folder("e")))
    layers.add(tar(entry(".wh..wh..opq"), folder("d"), entry("d/new")))
    assert layers.tree() == {"d", "d/new"}


@pytest.mark.parametrize("is_mark_first", [True, False])
def test_a_folder_that_was_deleted_and_made_anew_is_empty(
    layers: Layers, is_mark_first: bool
) -> None:
    layers.add(tar(folder("d"), entry("d/old")))
    entries = [entry(".wh.d"), folder("d"), entry("d/new")]
    layers.add(tar(*(entries if is_mark_first else [*entries[1:], entries[0]])))
    assert layers.tree() == {"d", "d/new"}


def test_a_file_and_its_whiteout_in_one_layer_leave_the_file(layers: Layers) -> None:
    layers.add(tar(entry("f", b"old")))
    layers.add(tar(entry("f", b"new"), entry(".wh.f")))
    with layers.mounted() as root:
        assert (root / "f").read_bytes() == b"new"


def test_a_whiteout_of_nothing_is_not_listed(layers: Layers) -> None:
    layers.add(tar(folder("d")))
    layers.add(tar(folder("only-here"), entry("only-here/.wh.x"), entry("d/.wh.y")))
    with layers.mounted() as root:
        assert os.listdir(root / "only-here") == []
        assert os.listdir(root / "d") == []


def test_whiteouts_below_an_opaque_folder_are_not_listed(layers: Layers) -> None:
    layers.add(tar(folder("d/e"), entry("d/e/f"), entry("d/g")))
    layers.add(tar(folder("d/e"), entry("d/e/.wh.f"), entry("d/.wh.g"), entry("d/.wh..wh..opq")))
    with layers.mounted() as root:
        assert os.listdir(root / "d") == ["e"]
        assert os.listdir(root / "d/e") == []


def test_more_layers_than_fit_in_a_page_of_options(layers: Layers) -> None:
    for number in range(300):
        layers.add(tar(folder("d"), entry(f"d/{number}"), entry("last", b"%d" % number)))
    assert len(":".join(map(str, layers.folders))) > 4096
    with layers.mounted() as root:
        assert len(os.listdir(root / "d")) == 300
        assert (root / "last").read_bytes() == b"299"


def test_bookkeeping_of_aufs_is_left_out(layers: Layers) -> None:
    layers.add(tar(entry("f"), folder(".wh..wh.plnk"), entry(".wh..wh.aufs")))
    assert layers.tree() == {"f"}


def test_a_folder_that_the_archive_forgot_looks_as_it_does_below(layers: Layers) -> None:
    layers.add(tar(folder("home", 0o711), folder("home/someone", 0o2750, uid=7, gid=8)))
    layers.add(tar(entry("home/someone/f"), entry("new/deep/f")))
    with layers.mounted() as root:
        status = (root / "home/someone").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2750, 7, 8)
        assert stat.S_IMODE((root / "home").stat().st_mode) == 0o711
        assert stat.S_IMODE((root / "new/deep").stat().st_mode) == 0o755


def test_entries_through_a_link_that_stays_inside(layers: Layers) -> None:
    made = layers.add(tar(folder("usr/lib"), link("lib", "usr/lib"), entry("lib/f", b"x")))
    assert (made / "usr/lib/f").read_bytes() == b"x"
    assert (made / "lib").is_symlink()


def test_the_last_of_two_entries_of_one_name_counts(layers: Layers) -> None:
    made = layers.add(
        tar(entry("a", b"1"), folder("b"), entry("b/x"), entry("b", b"2"), link("a", "b"))
    )
    assert os.readlink(made / "a") == "b"
    assert (made / "b").read_bytes() == b"2"


def test_owner_mode_time_and_capability_survive(layers: Layers) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    text = capability.decode("utf-8", "surrogateescape")
    made = layers.add(
        tar(
            folder("d", 0o1777, mtime=5),
            entry(
                "d/ping",
                b"x",
                mode=0o4755,
                uid=3_000_000,
                gid=9,
                mtime=1.5,
                pax_headers={"SCHILY.xattr.security.capability": text},
            ),
        )
    )
    status = (made / "d/ping").stat()
    assert stat.S_IMODE(status.st_mode) == 0o4755
    assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (3_000_000, 9, 1_500_000_000)
    assert os.getxattr(made / "d/ping", "security.capability") == capability
    assert stat.S_IMODE((made / "d").stat().st_mode) == 0o1777
    assert (made / "d").stat().st_mtime == 5


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder with everything that tar programs write in different ways."""
    base = tmp_path / "strange"
    deep = base / ("n" * 90) / ("m" * 90) / ("o" * 90)
    deep.mkdir(parents=True)
    (deep / ("p" * 200)).write_text("long")
    os.symlink("t" * 200 + "/" + "u" * 200, base / "long-link")
    with open(os.fsencode(base) + b"/caf\xe9", "w") as file:
        file.write("latin-1")
    (base / "ünï").write_text("utf-8")
    (base / "new\nline").write_text("x")
    with open(base / "holes", "wb") as hole:
        for number in range(40):
            hole.seek(number << 20)
            hole.write(b"%d" % number)
        hole.truncate(100 << 20)
    (base / "only-a-hole").touch()
    os.truncate(base / "only-a-hole", 5 << 20)
    os.mkfifo(base / "fifo")
    os.mknod(base / "zero", 0o20640, os.makedev(1, 5))
    os.mknod(base / "disk", 0o60640, os.makedev(259, 300))
    (base / "one").write_text("linked")
    os.link(base / "one", base / "two")
    os.chown(base / "one", 123, 456)
    (base / "one").chmod(0o6711)
    os.setxattr(base / "one", "user.note", b"\0\1=\n")
    os.utime(base / "ünï", ns=(0, 1_000_000_001))
    return base


def described(base: Path) -> dict[str, tuple[object, ...]]:
    """Everything about each file that a layer keeps, but fractions of times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(base.rglob("*")):
        status = path.lstat()
        body: object = None
        if path.is_symlink():
            body = os.readlink(path)
        elif path.is_file():
            body = sha256(path.read_bytes())
        found[str(path.relative_to(base))] = (
            *(status.st_mode, status.st_uid, status.st_gid, status.st_rdev),
            status.st_nlink if not path.is_dir() else 0,
            int(status.st_mtime),
            body,
        )
    return found


@pytest.mark.skipif(shutil.which("tar") is None, reason="missing: tar")
@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=gnu", "--sparse"],
        ["--format=pax", "--sparse", "--sparse-version=0.0"],
        ["--format=pax", "--sparse", "--sparse-version=0.1"],
        ["--format=pax", "--sparse", "--sparse-version=1.0", "--xattrs", "--xattrs-include=*"],
    ],
    ids=" ".join,
)
def test_what_gnu_tar_packs_is_unpacked_the_same(
    strange: Path, tmp_path: Path, options: list[str]
) -> None:
    archive = subprocess.run(
        ["tar", *options, "-C", strange, "-c", "."], capture_output=True, check=True
    ).stdout
    made = tmp_path / "made"
    made.mkdir()
    unpack(io.BytesIO(archive), str(made), (), sha256(archive))
    assert described(made) == described(strange)
    if "--sparse" in options:
        assert (made / "holes").stat().st_blocks * 512 < 2 << 20
    if "--xattrs" in options:
        assert os.getxattr(made / "one", "user.note") == b"\0\1=\n"


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_packs_is_unpacked_the_same(strange: Path, tmp_path: Path, format: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        archive.add(strange, ".")
    made = tmp_path / "made"
    made.mkdir()
    unpack(io.BytesIO(out.getvalue()), str(made), (), sha256(out.getvalue()))
    assert described(made) == described(strange)


def test_what_we_pack_is_unpacked_the_same(strange: Path, tmp_path: Path) -> None:
    archive = b"".join(pack_folder(str(strange)))
    made = tmp_path / "made"
    made.mkdir()
    unpack(io.BytesIO(archive), str(made), (), sha256(archive))
    assert described(made) == described(strange)
    assert (made / "ünï").stat().st_mtime_ns == 1_000_000_001
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["tar", "-C", other, "-x"], input=archive, check=True)
    assert described(other) == described(strange)
