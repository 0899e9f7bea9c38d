"""The store: archives in, folders for an overlay out, whoever is killed."""

import gzip
import io
import json
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine import trash
from stackr_engine.image.store import ImageStore
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.paths import Paths
from stackr_engine.state import State
from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.image import ImageConfig

from tests.engine.image.archives import (
    Layout,
    config,
    docker_archive,
    entry,
    folder,
    sha256,
    tar,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.requires("root")

BASE = tar(folder("etc"), entry("etc/base", b"base"), folder("bin"), entry("bin/sh", b"#!"))
APP = tar(folder("app"), entry("app/main", b"main"))


@pytest.fixture
def store(paths: Paths) -> Iterator[ImageStore]:
    state = State(paths.database)
    yield ImageStore(paths, state)
    trash.wait(paths)
    state.close()


def load(store: ImageStore, archive: bytes) -> list[str]:
    return store.load(io.BytesIO(archive))


def content(store: ImageStore, reference: str) -> dict[str, str]:
    """What the layers hold, the uppermost winning; no marks are in these."""
    found: dict[str, str] = {}
    for lower in store.resolve(reference, Path("/")).lowers:
        for path in Path(lower).rglob("*"):
            if path.is_file():
                found.setdefault(str(path.relative_to(lower)), path.read_text())
    return found


def test_a_docker_archive_is_ready_to_run(store: ImageStore) -> None:
    archive = docker_archive(BASE, APP, names=["shop:1"], Cmd=["/app/main"], Env=["A=b"])
    assert load(store, archive) == ["docker.io/library/shop:1"]
    image = store.resolve("shop:1", Path("/"))
    assert (image.config.cmd, image.config.env) == (("/app/main",), ("A=b",))
    assert len(image.lowers) == 2
    assert (Path(image.lowers[0]) / "app/main").read_text() == "main"
    assert (Path(image.lowers[1]) / "etc/base").read_text() == "base"
    assert image.created == pytest.approx(1714979289.123456)
    assert image.size == len(b"base" + b"#!" + b"main")


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"]
)
def test_an_oci_archive_is_ready_to_run_however_it_is_compressed(
    store: ImageStore, pack: type[bytes]
) -> None:
    layout = Layout()
    layout.add(layout.manifest(BASE, APP, pack=pack), name="docker.io/library/shop:2", ref="2")
    assert load(store, pack(layout.archive())) == ["docker.io/library/shop:2"]
    assert content(store, "shop:2") == {"etc/base": "base", "bin/sh": "#!", "app/main": "main"}


def test_an_index_gives_the_image_for_this_machine(store: ImageStore) -> None:
    layout = Layout()
    ours = {"amd64": "x86_64", "arm64": "aarch64"}
    here = next((name for name, machine in ours.items() if machine == os.uname().machine), "amd64")
    other = "s390x"
    rows = [
        {
            **layout.manifest(tar(entry("wrong"))),
            "platform": {"os": "linux", "architecture": other},
        },
        {**layout.manifest(APP), "platform": {"os": "linux", "architecture": here}},
        {**layout.manifest(tar()), "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    layout.add(layout.index(*rows), name="docker.io/library/shop:3")
    load(store, layout.archive())
    assert content(store, "shop:3") == {"app/main": "main"}


def test_a_layout_of_several_platforms_gives_the_image_for_this_machine(store: ImageStore) -> None:
    layout = Layout()
    ours = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    for architecture, layer in ((ours, APP), ("s390x", tar(entry("wrong"))), ("unknown", tar())):
        system = "unknown" if architecture == "unknown" else "linux"
        platform = {"os": system, "architecture": architecture}
        layout.add({**layout.manifest(layer), "platform": platform}, name="docker.io/library/a:1")
    load(store, layout.archive())
    assert content(store, "a:1") == {"app/main": "main"}
    assert len(store.list()) == 1


def test_an_index_without_this_machine_says_what_it_has(store: ImageStore) -> None:
    layout = Layout()
    platform = {"os": "linux", "architecture": "s390x"}
    layout.add(layout.index({**layout.manifest(APP), "platform": platform}), ref="x:1")
    with pytest.raises(StackrError, match="only for linux/s390x"):
        load(store, layout.archive())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_layers_that_an_archive_has_only_once_are_found(store: ImageStore, kind: bytes) -> None:
    target = {tarfile.SYMTYPE: "../1/layer.tar", tarfile.LNKTYPE: "1/layer.tar"}[kind]
    row = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}
    archive = tar(
        entry("1/layer.tar", APP),
        entry("2/layer.tar", type=kind, linkname=target),
        entry("c.json", config(APP, APP)),
        entry("manifest.json", json.dumps([row]).encode()),
    )
    load(store, archive)
    assert len(store.resolve("a:1", Path("/")).lowers) == 2


def test_layers_are_shared_by_the_images_that_have_them(store: ImageStore) -> None:
    load(store, docker_archive(BASE, APP, names=["a:1"]))
    load(store, docker_archive(BASE, tar(entry("other")), names=["b:1"]))
    first, second = (store.resolve(name, Path("/")).lowers for name in ("a:1", "b:1"))
    assert first[1] == second[1]
    assert first[0] != second[0]


def test_threads_that_load_the_same_image_unpack_it_once(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackr_engine.image import unpacking

    unpacked = []
    unpack = unpacking.unpack
    monkeypatch.setattr(
        unpacking, "unpack", lambda *arguments: unpacked.append(1) or unpack(*arguments)
    )
    archive = docker_archive(BASE, APP, names=["a:1"])
    threads = [threading.Thread(target=load, args=(store, archive)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(unpacked) == 2
    assert "app/main" in content(store, "a:1")


def test_names_are_completed_as_docker_hub_does(store: ImageStore) -> None:
    load(store, docker_archive(APP, names=["nginx:latest"]))
    image = store.get("nginx")
    for name in (
        "nginx:latest",
        "library/nginx",
        "docker.io/nginx",
        "index.docker.io/library/nginx",
    ):
        assert store.get(name).id == image.id
    assert store.get(image.id).id == image.id
    assert store.get(image.id[7:19]).id == image.id
    with pytest.raises(NotFound, match="no image nginx:1 in the store"):
        store.get("nginx:1")


def test_a_missing_image_tells_the_next_step(store: ImageStore) -> None:
    with pytest.raises(NotFound) as error:
        store.resolve("nginx", Path("/"))
    assert "stackr load" in str(error.value)
    assert "stackr pull" in str(error.value)


def test_a_name_moves_to_the_newest_image(store: ImageStore) -> None:
    load(store, docker_archive(BASE, names=["a:1"]))
    old = store.resolve("a:1", Path("/")).id
    load(store, docker_archive(APP, names=["a:1"]))
    assert store.resolve("a:1", Path("/")).id != old
    assert store.get(old).names == ()


def test_an_oci_layout_is_read_in_place_and_seen_when_it_changes(
    store: ImageStore, tmp_path: Path
) -> None:
    def write(layout: Layout) -> None:
        for name, data in layout.all_files().items():
            file = tmp_path / "layout" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    layout = Layout()
    write(layout.add(layout.manifest(BASE), ref="1"))
    first = store.resolve("oci:./layout", tmp_path)
    assert store.resolve("oci:layout:1", tmp_path).id == first.id
    layout = Layout()
    write(layout.add(layout.manifest(APP), ref="1").add(layout.manifest(BASE), ref="2"))
    assert store.resolve("oci:./layout:1", tmp_path).id != first.id
    assert store.resolve("oci:./layout:2", tmp_path).id == first.id
    with pytest.raises(NotFound, match=r"has no image 3 \(it has 1, 2\)"):
        store.resolve("oci:./layout:3", tmp_path)
    with pytest.raises(NotFound, match="is no OCI layout"):
        store.resolve("oci:./missing", tmp_path)


def test_a_folder_becomes_an_image_with_everything_in_it(store: ImageStore, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("x")
    os.link(root / "bin/tool", root / "bin/second")
    os.symlink("tool", root / "bin/link")
    os.chown(root / "bin/tool", 7, 8)
    (root / "bin/tool").chmod(0o4755)
    os.setxattr(root / "bin/tool", "user.note", b"\0binary\n")
    os.utime(root / "bin/tool", ns=(1, 1_234_567_890_123_456_789))
    os.mknod(root / "null", 0o20666, os.makedev(1, 3))
    long = root / ("d" * 120) / ("f" * 120)
    long.parent.mkdir()
    long.write_text("long")
    with open(os.fsencode(root) + b"/not-\xff-utf8", "w") as file:
        file.write("x")
    image_id = store.import_(root, "tools:1", ImageConfig(cmd=("/bin/tool",)))
    image = store.resolve("tools:1", tmp_path)
    assert image.id == image_id
    assert image.config.cmd == ("/bin/tool",)
    made = Path(image.lowers[0])
    status = (made / "bin/tool").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (7, 8, 0o4755)
    assert status.st_mtime_ns == 1_234_567_890_123_456_789
    assert status.st_nlink == 2
    assert os.getxattr(made / "bin/tool", "user.note") == b"\0binary\n"
    assert os.readlink(made / "bin/link") == "tool"
    assert (made / "null").stat().st_rdev == os.makedev(1, 3)
    assert (made / long.relative_to(root)).read_text() == "long"
    assert os.path.exists(os.fsencode(made) + b"/not-\xff-utf8")


def test_an_archive_of_a_tree_becomes_an_image(store: ImageStore) -> None:
    store.import_(io.BytesIO(gzip.compress(APP)), "app")
    assert content(store, "app") == {"app/main": "main"}
    assert store.get("app").diff_ids == (sha256(APP),)


def test_what_is_saved_can_be_loaded_elsewhere(store: ImageStore, tmp_path: Path) -> None:
    load(store, docker_archive(BASE, APP, names=["a:1", "b:2"], Cmd=["x"]))
    load(store, docker_archive(BASE, names=["c:1"]))
    saved = b"".join(store.save(["a:1", store.get("c:1").id[7:19], "b:2"]))
    other = Paths(tmp_path / "other/state", tmp_path / "other/run")
    other.make()
    state = State(other.database)
    copy = ImageStore(other, state)
    names = [f"docker.io/library/{name}" for name in ("a:1", "b:2")]
    assert sorted(load(copy, saved)) == [*names, store.get("c:1").id]
    assert copy.get("a:1").id == store.get("a:1").id
    assert content(copy, "b:2") == content(store, "b:2")
    trash.wait(other)
    state.close()


def test_an_image_without_layers_can_still_be_mounted(store: ImageStore) -> None:
    load(store, docker_archive(names=["empty:1"]))
    [lower] = store.resolve("empty:1", Path("/")).lowers
    assert list(Path(lower).iterdir()) == []


def test_a_removed_image_frees_what_no_other_needs(store: ImageStore, paths: Paths) -> None:
    load(store, docker_archive(BASE, APP, names=["a:1"]))
    load(store, docker_archive(BASE, names=["b:1"]))
    app, base = store.resolve("a:1", Path("/")).lowers
    removed = store.remove("a:1")
    assert removed.untagged == ["docker.io/library/a:1"]
    assert removed.freed > len(APP)
    assert not Path(app).exists()
    assert Path(base).exists()
    store.remove("b:1")
    assert list((paths.state / "images/l").iterdir()) == []
    assert list((paths.state / "images/blobs/sha256").iterdir()) == []
    with pytest.raises(NotFound):
        store.resolve("a:1", Path("/"))


def test_one_of_several_names_is_only_untagged(store: ImageStore) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    image = store.get("a:1")
    store.tag("a:1", "localhost:5000/team/a")
    with pytest.raises(Conflict, match="several names"):
        store.remove(image.id)
    assert store.remove("a:1").deleted == []
    assert store.get("localhost:5000/team/a:latest").id == image.id


def test_a_used_image_is_not_removed(store: ImageStore) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    users = {store.get("a:1").id: ["shop-web-1"]}
    with pytest.raises(Conflict, match="used by shop-web-1"):
        store.remove("a:1", users)
    assert store.prune(users, unnamed_only=False).deleted == []
    assert store.resolve("a:1", Path("/"))


def test_prune_takes_nameless_images_and_what_no_image_needs(
    store: ImageStore, paths: Paths
) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    load(store, docker_archive(BASE, names=["a:1"]))
    left = paths.state / "images/blobs/sha256" / ("0" * 64)
    left.write_bytes(b"of an interrupted load")
    pruned = store.prune({})
    assert len(pruned.deleted) == 1
    assert pruned.freed > 0
    assert not left.exists()
    assert content(store, "a:1") == {"etc/base": "base", "bin/sh": "#!"}


def test_a_layer_that_someone_deleted_is_unpacked_again(store: ImageStore) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    [lower] = store.resolve("a:1", Path("/")).lowers
    os.rename(lower, f"{lower}.away")
    assert content(store, "a:1") == {"app/main": "main"}


def test_a_start_cleans_what_a_killed_process_left(store: ImageStore, paths: Paths) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    images = paths.state / "images"
    (images / "tmp/layer-1/below").mkdir(parents=True)
    (images / "tmp/blob-1").write_text("x")
    (images / "l/unknown/below").mkdir(parents=True)
    state = State(paths.database)
    again = ImageStore(paths, state)
    again.clean()
    assert os.listdir(images / "tmp") == []
    assert len(os.listdir(images / "l")) == 1
    assert content(again, "a:1") == {"app/main": "main"}
    state.close()


def test_layers_that_did_not_reach_the_disk_before_a_power_cut_are_unpacked_again(
    store: ImageStore, paths: Paths
) -> None:
    load(store, docker_archive(APP, names=["a:1"]))
    known = store.resolve("a:1", Path("/"))
    [lower] = known.lowers
    Path(lower, "app/main").write_text("")  # as after a power cut
    state = State(paths.database)
    with state.transaction() as database:
        database.execute("UPDATE image_layers SET boot = 'another boot'")
    store.clean()
    assert not Path(lower).exists()
    image = store.ready(known)
    assert (Path(image.lowers[0]) / "app/main").read_text() == "main"
    assert image.lowers == known.lowers  # containers remember where it was
    state.close()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"not an archive" * 100, "checksum"),
        (tar(entry("readme", b"x")), "neither manifest.json nor index.json"),
        (tar(entry("manifest.json", b"{")), "manifest.json"),
        (tar(entry("manifest.json", b'[{"Config": "c", "Layers": []}]')), 'no "c"'),
        (docker_archive(APP)[:2000], "ends too early"),
        (gzip.compress(docker_archive(APP))[:-20], "ends too early"),
        (b"BZh91AY&SY", "bzip2"),
    ],
)  # fmt: skip
def test_a_bad_archive_is_told_and_leaves_nothing(
    store: ImageStore, paths: Paths, archive: bytes, message: str
) -> None:
    with pytest.raises(BadArchive, match=message):
        load(store, archive)
    assert store.list() == []
    trash.wait(paths)
    assert os.listdir(paths.state / "images/tmp") == []
    assert os.listdir(paths.state / "images/l") == []
