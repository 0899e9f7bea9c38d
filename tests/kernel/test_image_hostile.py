"""Hostile archives: whatever they try, nothing outside their folder changes."""

import gzip
import io
import json
import os
import stat
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine import trash
from stackr_engine.image import tarsparse
from stackr_engine.image.extraction import Limits
from stackr_engine.image.store import ImageStore
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.image.unpacking import unpack
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.errors import StackrError

from tests.engine.image.archives import Layout, docker_archive, entry, folder, link, sha256, tar

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.requires("root")
LIMITS = Limits(10 << 20, 1000)


class Place:
    """A layer's folder, with something precious beside it."""

    def __init__(self, base: Path):
        self.layer = base / "layer"
        self.outside = base / "outside"
        self.layer.mkdir()
        self.outside.mkdir()
        (self.outside / "file").write_text("precious")
        os.utime(self.outside, ns=(5, 5))
        self.before = self.state()

    def state(self) -> list[tuple[object, ...]]:
        """Everything that could be changed outside."""
        found: list[tuple[object, ...]] = []
        for path in (self.outside.parent, self.outside, *self.outside.rglob("*")):
            status = path.lstat()
            attributes = [(name, os.getxattr(path, name)) for name in os.listxattr(path)]
            names = sorted(os.listdir(path)) if path.is_dir() else path.read_text()
            found.append(
                (str(path), status.st_mode, status.st_uid, status.st_nlink, attributes, names)
            )
        return found

    def unpack(self, archive: bytes, below: tuple[str, ...] = (), limits: Limits = LIMITS) -> None:
        plain = gzip.decompress(archive) if archive.startswith(b"\x1f\x8b") else archive
        unpack(io.BytesIO(archive), str(self.layer), below, sha256(plain), limits)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def refused(place: Place, archive: bytes, message: str) -> None:
    """The archive ends with a message, and nothing outside has changed."""
    with pytest.raises(BadArchive, match=message):
        place.unpack(archive)
    assert place.state() == place.before


def harmless(place: Place, archive: bytes) -> None:
    """The archive can be unpacked, and nothing outside has changed."""
    place.unpack(archive)
    assert place.state() == place.before


def test_an_absolute_name(place: Place) -> None:
    refused(place, tar(entry(f"{place.outside}/new", b"x")), "absolute name")


@pytest.mark.parametrize("name", ["../outside/new", "a/../../outside/new", "..", "a/b/../../../x"])
def test_a_name_that_climbs(place: Place, name: str) -> None:
    refused(place, tar(folder("a"), entry(name, b"x")), "climbs out")


@pytest.mark.parametrize("target", ["../outside", "{outside}", "a/../../outside"])
def test_a_file_through_a_link_that_leads_out(place: Place, target: str) -> None:
    target = target.format(outside=place.outside)
    refused(place, tar(folder("a"), link("l", target), entry("l/new", b"x")), "leads out")


def test_a_folder_through_a_chain_of_links_that_leads_out(place: Place) -> None:
    archive = tar(link("a", "b"), link("b", "c/.."), link("c", "../outside"), folder("a/x/y"))
    refused(place, archive, "leads out")


def test_a_folder_that_is_swapped_for_a_link(place: Place) -> None:
    archive = tar(
        folder("d"), entry("d/x", b"x"), link("d", f"{place.outside}"), entry("d/new", b"x")
    )
    refused(place, archive, "leads out")
    assert not (place.outside / "new").exists()


def test_a_folder_above_that_is_swapped_for_a_link(place: Place) -> None:
    archive = tar(entry("d/e/x", b"x"), link("d", ".."), entry("d/e/y", b"x"))
    refused(place, archive, "leads out")


def test_a_file_over_a_link_replaces_the_link(place: Place) -> None:
    harmless(place, tar(link("l", f"{place.outside}/file"), entry("l", b"changed")))
    assert (place.layer / "l").read_bytes() == b"changed"


def test_a_folder_over_a_link_replaces_the_link(place: Place) -> None:
    harmless(place, tar(link("l", f"{place.outside}"), folder("l", 0o777, uid=5)))
    assert stat.S_IMODE((place.layer / "l").lstat().st_mode) == 0o777


def test_the_mode_owner_and_attributes_of_a_link(place: Place) -> None:
    attributes = {"SCHILY.xattr.trusted.mark": "x"}
    harmless(
        place,
        tar(
            entry(
                "l",
                type=tarfile.SYMTYPE,
                linkname=f"{place.outside}/file",
                mode=0o777,
                uid=5,
                pax_headers=attributes,
            )
        ),
    )
    assert (place.layer / "l").lstat().st_uid == 5


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside/file", "climbs out"),
        ("/etc/passwd", "absolute name"),
        ("l/file", "leads out"),
        ("missing", "no file of the same layer"),
        ("d", "no file of the same layer"),
        (".", "no file of the same layer"),
    ],
)
def test_a_hard_link_to_something_else(place: Place, target: str, message: str) -> None:
    hard = entry("h", type=tarfile.LNKTYPE, linkname=target)
    refused(place, tar(folder("d"), link("l", f"{place.outside}"), hard), message)


def test_a_file_over_a_hard_link_to_a_link(place: Place) -> None:
    hard = entry("h", type=tarfile.LNKTYPE, linkname="l")
    harmless(place, tar(link("l", f"{place.outside}/file"), hard, entry("h", b"changed")))


def test_a_file_over_a_hard_link_leaves_the_other_name_alone(place: Place) -> None:
    hard = entry("h", type=tarfile.LNKTYPE, linkname="f")
    harmless(place, tar(entry("f", b"first"), hard, entry("h", b"second")))
    assert (place.layer / "f").read_bytes() == b"first"


def test_a_whiteout_through_a_link_that_leads_out(place: Place, tmp_path: Path) -> None:
    below = tmp_path / "below"
    (below / "l").mkdir(parents=True)
    (below / "l/file").write_text("x")
    place.before = place.state()
    with pytest.raises(BadArchive, match="leads out"):
        place.unpack(tar(link("l", "../outside"), entry("l/.wh.file")), (str(below),))
    assert place.state() == place.before


def test_an_opaque_mark_through_a_link_that_leads_out(place: Place) -> None:
    refused(place, tar(link("l", "../outside"), entry("l/.wh..wh..opq")), "leads out")


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_a_folder_itself_or_the_one_above(place: Place, name: str) -> None:
    refused(place, tar(folder("d"), entry(name)), "marks no name")


def test_a_device_that_means_a_deletion_to_overlayfs(place: Place) -> None:
    device = entry("n", type=tarfile.CHRTYPE, devmajor=0, devminor=0)
    refused(place, tar(device), "device 0:0")


def test_a_device_over_a_file_is_never_opened(place: Place) -> None:
    device = entry("n", type=tarfile.BLKTYPE, devmajor=250, devminor=77)
    harmless(place, tar(entry("n", b"x"), device))
    assert (place.layer / "n").stat().st_rdev == os.makedev(250, 77)
    harmless(place, tar(entry("n", b"again")))


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_file_over_a_node_is_not_written_into_it(place: Place, kind: bytes) -> None:
    harmless(place, tar(entry("n", type=kind, devmajor=1, devminor=3), entry("n", b"plain")))
    assert (place.layer / "n").read_bytes() == b"plain"


@pytest.mark.parametrize("name", ["redirect", "metacopy", "opaque", "whiteout"])
@pytest.mark.parametrize("space", ["trusted", "user"])
def test_an_attribute_that_overlayfs_obeys(place: Place, space: str, name: str) -> None:
    attributes = {f"SCHILY.xattr.{space}.overlay.{name}": "/etc"}
    refused(place, tar(folder("d", pax_headers=attributes)), "overlay")


def test_a_link_or_file_in_place_of_the_layer_itself(place: Place) -> None:
    refused(place, tar(link(".", f"{place.outside}")), "layer's own folder")
    refused(place, tar(entry("./", b"x")), "layer's own folder")


def test_a_file_that_becomes_a_folder(place: Place) -> None:
    refused(place, tar(entry("a", b"x"), entry("a/b", b"x")), "is a file")


def test_a_small_archive_that_unpacks_to_a_lot(place: Place) -> None:
    bomb = gzip.compress(tar(entry("zeros", bytes(50 << 20))))
    assert len(bomb) < 100_000
    refused(place, bomb, "more than the 10485760 bytes")
    assert sum(path.stat().st_size for path in place.layer.iterdir()) == 0


def test_many_files_that_are_each_small_enough(place: Place) -> None:
    files = [entry(str(number), bytes(1 << 20)) for number in range(11)]
    refused(place, gzip.compress(tar(*files)), "more than the 10485760 bytes")


def test_a_million_names(place: Place) -> None:
    refused(place, tar(*[entry(str(number)) for number in range(1001)]), "more than 1000 entries")


def test_folders_without_end(place: Place) -> None:
    refused(place, tar(entry("d/" * 2000 + "f")), "nested deeper than")


def test_a_name_that_no_path_can_have(place: Place) -> None:
    refused(place, tar(entry("n" * 5000)), "longer than 4096")
    refused(place, tar(entry("n" * 300)), "File name too long")


def test_an_extended_header_that_fills_the_memory(place: Place) -> None:
    refused(place, tar(entry("n", pax_headers={"comment": "x" * (2 << 20)})), "too long")


@pytest.mark.parametrize(
    "record", [b"999999 a=b\n", b"x a=b\n", b"5 ab\n", b"-5 a=b\n", b"0 a=b\n", b"6 a=bc\n"]
)
def test_a_broken_extended_header(place: Place, record: bytes) -> None:
    extended = entry("x", record, type=tarfile.XHDTYPE)
    refused(place, tar(extended, entry("n")), "extended header")


def test_a_zero_byte_in_a_name(place: Place) -> None:
    refused(place, tar(entry("n", pax_headers={"path": "a\0b"})), "zero byte")


def test_a_size_that_is_negative_or_beyond_the_archive(place: Place) -> None:
    refused(place, tar(entry("n", pax_headers={"size": "-1"})), "number belongs")
    header = bytearray(tar(entry("n"))[:512])
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    refused(place, bytes(header), "negative size")
    refused(place, tar(entry("n", pax_headers={"size": "99999999"})), "more than the")
    refused(place, tar(entry("n", pax_headers={"size": "99999"})), "ends too early")


def test_an_owner_that_cannot_be(place: Place) -> None:
    refused(place, tar(entry("n", pax_headers={"uid": str(2**32 - 1)})), "which cannot be")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,5,3,5"}, "not in order"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "8,5"}, "not in order"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,4"}, "does not fit"),
        ({"GNU.sparse.size": str(2**70), "GNU.sparse.map": "0,5"}, "cannot be unpacked|number"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,-5"}, "number belongs"),
        ({"GNU.sparse.size": "10", "GNU.sparse.map": "0,5,1"}, "is broken"),
        ({"GNU.sparse.major": "1", "GNU.sparse.realsize": "9"}, "ends too early"),
    ],
)
def test_a_map_of_holes_that_lies(place: Place, headers: dict[str, str], message: str) -> None:
    refused(place, tar(entry("n", b"12345", pax_headers=headers)), message)


def test_an_archive_that_goes_on_behind_its_end(place: Place) -> None:
    bomb = gzip.compress(tar(entry("n")) + bytes(70 << 20))
    refused(place, bomb, "without end")


def test_a_zstd_frame_that_wants_all_memory(place: Place) -> None:
    parameters = {zstd.CompressionParameter.window_log: 30}
    packed = zstd.compress(tar(entry("n", os.urandom(1000))), options=parameters)
    # a frame that says its size needs no more window than that: take the size out
    compressor = zstd.ZstdCompressor(options=parameters)
    packed = compressor.compress(tar(entry("n", os.urandom(1000)))) + compressor.flush()
    with pytest.raises(BadArchive, match="zstd data is damaged"):
        unpack(io.BytesIO(packed), str(place.layer), (), sha256(b""), LIMITS)


def test_a_layer_that_is_not_what_was_announced(place: Place) -> None:
    with pytest.raises(BadArchive, match="was announced"):
        unpack(io.BytesIO(tar(entry("n"))), str(place.layer), (), sha256(b"x"), LIMITS)


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    state = State(paths.database)
    yield ImageStore(paths, state)
    state.close()


def archive_refused(store: ImageStore, paths: Paths, archive: bytes, message: str) -> None:
    """The archive ends with a message, and the store is as empty as before."""
    with pytest.raises(StackrError, match=message):
        store.load(io.BytesIO(archive))
    assert store.list() == []
    trash.wait(paths)
    assert os.listdir(paths.state / "images/tmp") == []
    assert os.listdir(paths.state / "images/l") == []


def test_a_hostile_layer_leaves_no_image_behind(store: ImageStore, paths: Paths) -> None:
    archive = docker_archive(tar(entry("good")), tar(entry("../bad")), names=["a:1"])
    with pytest.raises(BadArchive, match="climbs out"):
        store.load(io.BytesIO(archive))
    assert store.list() == []
    assert len(os.listdir(paths.state / "images/l")) == 1  # the finished one, for the next try
    store.prune({})
    trash.wait(paths)
    assert os.listdir(paths.state / "images/l") == []
    assert os.listdir(paths.state / "images/blobs/sha256") == []


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "link"])
def test_a_manifest_that_names_files_of_the_host(
    store: ImageStore, paths: Paths, path: str
) -> None:
    row = {"Config": path, "RepoTags": ["a:1"], "Layers": []}
    text = json.dumps([row]).encode()
    archive = tar(link("link", "/etc/passwd"), entry("manifest.json", text))
    archive_refused(store, paths, archive, "which its manifest names")


def test_links_in_an_archive_that_go_in_circles(store: ImageStore, paths: Paths) -> None:
    row = {"Config": "a", "Layers": []}
    text = json.dumps([row]).encode()
    archive = tar(link("a", "b"), link("b", "a"), entry("manifest.json", text))
    archive_refused(store, paths, archive, "which its manifest names")


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "sha512:00", "", "sha256:" + "G" * 64]
)
def test_a_digest_that_is_a_path(store: ImageStore, paths: Paths, digest: str) -> None:
    layout = Layout()
    layout.add({"digest": digest, "size": 1}, ref="a:1")
    archive_refused(store, paths, layout.archive(), "not a sha256 digest")


def test_a_blob_that_is_not_what_its_name_says(store: ImageStore, paths: Paths) -> None:
    layout = Layout()
    layout.add(layout.manifest(tar(entry("n"))), ref="a:1")
    for name in layout.files:
        if name.startswith("blobs/"):
            layout.files[name] += b" "
    archive_refused(store, paths, layout.archive(), "has another digest")


def test_a_config_with_fewer_layers_than_the_manifest(store: ImageStore, paths: Paths) -> None:
    layout = Layout()
    manifest = layout.manifest(tar(entry("n")))
    name = f"blobs/sha256/{manifest['digest'][7:]}"
    document = json.loads(layout.files[name])
    document["layers"] *= 2
    layout.add(layout.blob(json.dumps(document).encode()), ref="a:1")
    archive_refused(store, paths, layout.archive(), "has 2 layers and the config 1")


def test_an_index_inside_an_index_without_end(store: ImageStore, paths: Paths) -> None:
    layout = Layout()
    inner = layout.manifest(tar(entry("n")))
    for _ in range(6):
        inner = layout.index(inner)
    archive_refused(store, paths, layout.add(inner, ref="a:1").archive(), "indexes inside indexes")


@pytest.mark.parametrize("text", [b"[" * 200_000, b"{}", b'[{"Config": 5}]', b"null"])
def test_a_manifest_that_is_no_manifest(store: ImageStore, paths: Paths, text: bytes) -> None:
    archive_refused(store, paths, tar(entry("manifest.json", text)), "manifest.json")


def test_a_manifest_of_many_megabytes(store: ImageStore, paths: Paths) -> None:
    archive = tar(entry("manifest.json", b" " * (9 << 20)))
    archive_refused(store, paths, archive, "longer than 8388608 bytes")


def test_a_name_that_is_no_name(store: ImageStore, paths: Paths) -> None:
    archive_refused(store, paths, docker_archive(names=["../../x:1"]), "not an image name")


def test_a_map_of_holes_without_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarsparse, "_MAX_EXTENTS", 10_000)
    header = bytearray(tar(entry("n"))[:512])
    header[156:157] = b"S"
    header[257:265] = b"ustar  \0"
    header[482] = 1
    header[483:495] = b"00000000010\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    piece = struct.pack("12s12s", b"00000000000\0", b"00000000000\0") * 21 + b"\1" + bytes(7)
    refused(place, gzip.compress(bytes(header) + piece * 1000), "more than 10000 pieces")
