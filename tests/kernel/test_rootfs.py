"""`rootfs:/`: this machine as an image, writable for each container, private parts hidden."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stackr_engine.image.hostroot import HostRoot
from stackr_engine.image.rootfs import RootfsImages
from stackr_engine.paths import Paths
from stackr_engine.spawn.syscalls import MNT_DETACH, mount, umount2
from stackr_schemas.errors import StackrError
from stackr_schemas.image import Image

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def images(paths: Paths) -> Iterator[RootfsImages]:
    images = RootfsImages(paths)
    yield images
    images.release()


@contextmanager
def container_root(image: Image, paths: Paths) -> Iterator[Path]:
    """What a container does with an image: an overlay with an upper folder on disk."""
    folder = paths.container(secrets.token_hex(4))
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    options = f"lowerdir={':'.join(image.lowers)},upperdir={folder}/upper,workdir={folder}/work"
    mount("overlay", str(folder / "root"), "overlay", 0, options)
    try:
        yield folder / "root"
    finally:
        umount2(str(folder / "root"), MNT_DETACH)


def test_a_container_writes_to_its_own_copy_of_this_machine(
    images: RootfsImages, paths: Paths
) -> None:
    image = images.resolve("rootfs:/", Path("/"))
    with container_root(image, paths) as first, container_root(image, paths) as second:
        assert (first / "usr/bin/env").exists()
        (first / "etc/of-the-first").write_text("x")
        (first / "etc/hostname").unlink()
        assert not (second / "etc/of-the-first").exists()
        assert (second / "etc/hostname").exists()
    assert not Path("/etc/of-the-first").exists()
    assert Path("/etc/hostname").exists()


def test_private_folders_are_empty(images: RootfsImages, paths: Paths) -> None:
    secret = paths.state / "secret"
    secret.write_text("x")
    with container_root(images.resolve("rootfs:/", Path("/")), paths) as root:
        for name in ("root", "home", "tmp", "run", "srv", "var/tmp"):
            assert list((root / name).iterdir()) == [], name
        assert not (root / str(secret).lstrip("/")).exists()
        assert os.stat(root / "tmp").st_mode & 0o7777 == 0o1777
        assert os.stat(root / "root").st_mode & 0o7777 == 0o700


def test_an_engines_folders_are_hidden_wherever_they_are(tmp_path: Path) -> None:
    # /opt, as /tmp is hidden anyway
    base = Path(f"/opt/stackr-test-{secrets.token_hex(4)}")
    paths = Paths(base / "state", base / "run")
    paths.make()
    (paths.state / "secret").write_text("x")
    (base / "other").write_text("x")
    images = RootfsImages(paths)
    try:
        [lower] = images.resolve("rootfs:/", Path("/")).lowers
        assert list((Path(lower) / str(paths.state).lstrip("/")).iterdir()) == []
        assert (Path(lower) / str(base).lstrip("/") / "other").exists()
    finally:
        images.release()
        shutil.rmtree(base)


def test_password_hashes_and_host_keys_stay_outside(images: RootfsImages) -> None:
    [lower] = images.resolve("rootfs:/", Path("/")).lowers
    users = [line.split(":") for line in Path(lower, "etc/shadow").read_text().splitlines()]
    assert {user[1] for user in users} == {"*"}
    assert len(users) == len(Path("/etc/shadow").read_text().splitlines())
    assert os.stat(f"{lower}/etc/shadow").st_mode == os.stat("/etc/shadow").st_mode
    assert list(Path(lower, "etc/ssh").glob("ssh_host_*_key")) == []


def test_a_later_change_of_the_machine_is_seen(images: RootfsImages) -> None:
    [lower] = images.resolve("rootfs:/", Path("/")).lowers
    name = f"opt/stackr-test-{secrets.token_hex(4)}"
    assert not Path(lower, name).exists()  # the overlay now remembers that it is missing
    file = Path("/", name)
    try:
        file.write_text("x")
        images._host._fresh_until = 0  # as if a moment had passed
        images.resolve("rootfs:/", Path("/"))
        assert Path(lower, name).exists()
    finally:
        file.unlink()


def test_a_secret_that_appears_later_is_hidden_too(paths: Paths, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    (machine / "etc/ssh").mkdir(parents=True)
    (machine / "var/lib").mkdir(parents=True)
    host = HostRoot(paths, machine)
    try:
        [lower] = host.lowers()
        assert sorted(os.listdir(f"{lower}/etc")) == ["ssh"]
        (machine / "etc/shadow").write_text("someone:hash:1:0:99999:7:::\n")
        (machine / "etc/ssh/ssh_host_rsa_key").write_text("x")
        (machine / "var/lib/docker").mkdir()
        (machine / "var/lib/docker/secret").write_text("x")
        host._fresh_until = 0  # as if a moment had passed
        assert host.lowers() == (lower,)
        assert Path(lower, "etc/shadow").read_text() == "someone:*:1:0:99999:7:::\n"
        assert os.listdir(f"{lower}/etc/ssh") == []
        assert os.listdir(f"{lower}/var/lib/docker") == []
        for number in range(20):  # and the mounts do not pile up
            (machine / f"etc/{number}").touch()
            host._fresh_until = 0
            host.lowers()
        assert Path("/proc/self/mountinfo").read_text().count(f" {lower} ") <= 8
    finally:
        host.release()


def test_the_next_process_finds_the_mount_and_makes_no_second(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "machine/etc").mkdir(parents=True)
    host = HostRoot(paths, tmp_path / "machine")
    try:
        [lower] = host.lowers()
        device = os.stat(lower).st_dev
        assert HostRoot(paths, tmp_path / "machine").lowers() == (lower,)
        assert os.stat(lower).st_dev == device
        assert Path("/proc/self/mountinfo").read_text().count(f" {lower} ") == 1
    finally:
        host.release()


def test_what_someone_unmounted_is_mounted_again(images: RootfsImages) -> None:
    [lower] = images.resolve("rootfs:/", Path("/")).lowers
    umount2(lower, MNT_DETACH)
    images.resolve("rootfs:/", Path("/"))
    assert (Path(lower) / "usr").is_dir()


def test_a_container_that_starts_again_finds_the_machine_mounted(images: RootfsImages) -> None:
    image = images.resolve("rootfs:/", Path("/"))
    images.release()
    assert images.ready(image) == image
    assert (Path(image.lowers[0]) / "usr").is_dir()


def test_a_released_machine_leaves_running_containers_alone(
    images: RootfsImages, paths: Paths
) -> None:
    with container_root(images.resolve("rootfs:/", Path("/")), paths) as root:
        images.release()
        assert not (paths.run / "hostroot").exists()
        assert (root / "usr/bin/env").exists()


def test_a_machine_on_an_overlay_is_used_without_a_second_one(paths: Paths, tmp_path: Path) -> None:
    for name in ("lower/etc", "lower/home/someone", "upper", "work", "machine", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    machine = tmp_path / "machine"
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount("overlay", str(machine), "overlay", 0, options)
    host = HostRoot(paths, machine)
    try:
        lowers = host.lowers()
        assert lowers == (str(paths.run / "hostmask/files"), str(machine))
        assert host.lowers() == lowers
        image = Image.model_construct(lowers=lowers)
        with container_root(image, paths) as root:
            assert list((root / "home").iterdir()) == []
            assert (root / "etc").is_dir()
    finally:
        host.release()
        umount2(str(machine), MNT_DETACH)


def test_a_state_folder_on_the_machines_own_overlay_is_refused(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "machine"):
        (tmp_path / name).mkdir(parents=True)
    machine = tmp_path / "machine"
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount("overlay", str(machine), "overlay", 0, options)
    try:
        paths = Paths(machine / "state", machine / "run")
        paths.make()
        with pytest.raises(StackrError, match="on one overlay"):
            HostRoot(paths, machine).lowers()
    finally:
        umount2(str(machine), MNT_DETACH)


def test_a_folder_is_the_lower_layer_itself(images: RootfsImages, tmp_path: Path) -> None:
    (tmp_path / "project/base/etc").mkdir(parents=True)
    image = images.resolve("rootfs:./base", tmp_path / "project")
    assert image.lowers == (str(tmp_path / "project/base"),)
    assert image.config.env[0].startswith("PATH=/usr/local/sbin:")
    assert image.config.cmd == ()


def test_a_folder_that_was_replaced_or_changed_at_its_top_is_another_image(
    images: RootfsImages, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    first = images.resolve("rootfs:base", tmp_path).id
    assert images.resolve("rootfs:./base", tmp_path).id == first
    (base / "bin").mkdir()
    second = images.resolve("rootfs:base", tmp_path).id
    base.rename(tmp_path / "old")
    base.mkdir()
    third = images.resolve("rootfs:base", tmp_path).id
    assert len({first, second, third}) == 3


def test_a_missing_folder_is_named(images: RootfsImages, tmp_path: Path) -> None:
    with pytest.raises(StackrError, match=f"no folder {tmp_path}/missing"):
        images.resolve("rootfs:./missing", tmp_path)


def test_a_folder_around_the_engine_itself_is_refused(images: RootfsImages, paths: Paths) -> None:
    with pytest.raises(StackrError, match="contains this engine's own"):
        images.resolve(f"rootfs:{paths.state.parent}", Path("/"))
