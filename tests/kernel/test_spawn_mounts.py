"""The container's file system: layers, mounts, masks, and images that try to redirect them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.paths import Paths
from stackr_engine.spawn import rootfs
from stackr_engine.spawn.client import SpawnError
from stackr_schemas.container import BindMount, TmpfsMount, VolumeMount

from tests.kernel.box import SHELL, Box, box_in

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def box(paths: Paths, tmp_path: Path) -> Iterator[Box]:
    with box_in(paths, tmp_path / "lower") as box:
        yield box


def layers(box: Box, folder: Path, count: int) -> tuple[str, ...]:
    """Make layers, each with a file of its own and one that the uppermost hides."""
    made = []
    for index in range(count):
        layer = folder / f"layer,with:odd names {index:03}"
        (layer / "etc").mkdir(parents=True)
        (layer / "etc" / f"own{index}").touch()
        (layer / "etc" / "which").write_text(str(index))
        made.append(str(layer))
    return (*made, str(box.lower))


def test_writes_go_to_the_upper_layer_alone(box: Box) -> None:
    done = box.run(*SHELL, "echo new > /etc/new; rm /etc/group")
    assert (done.folder / "upper/etc/new").read_text() == "new\n"
    assert (box.lower / "etc/group").exists()
    assert not (box.lower / "etc/new").exists()


@pytest.mark.parametrize("count", [2, 300])
def test_many_layers_are_merged_in_order(box: Box, tmp_path: Path, count: int) -> None:
    found = box.shell(
        "cat /etc/which; ls -d /etc/own* | wc -l", lowers=layers(box, tmp_path, count)
    )
    assert found == f"0{count}\n"


def test_layers_by_short_names_on_older_kernels(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way without `lowerdir+`, taken here in a child with a mount namespace of its own."""
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            rootfs.syscalls.unshare(rootfs.syscalls.CLONE_NEWNS)
            everything = os.open("/", os.O_PATH)
            rootfs.syscalls.mount_setattr(everything, True, 0, 0, rootfs.syscalls.MS_PRIVATE)
            rootfs.mount_overlay_by_names(
                str(tmp_path / "merged"),
                list(layers(box, tmp_path, 300)),
                str(tmp_path / "upper"),
                str(tmp_path / "work"),
            )
            os.write(write, (tmp_path / "merged/etc/which").read_bytes())
            os.write(write, b" %d" % len(os.listdir(tmp_path / "merged/etc")))
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert os.read(read, 1000) == b"0 303"
    os.close(read)


def test_paths_longer_than_fsconfig_takes(box: Box, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    (deep / "etc").mkdir(parents=True)
    (deep / "etc/deep").write_text("deep")
    assert box.shell("cat /etc/deep", lowers=(str(deep), str(box.lower))) == "deep"


def test_root_has_the_attributes_of_the_image(box: Box) -> None:
    box.lower.chmod(0o751)
    assert box.shell("stat -c %a /") == "751\n"


def test_standard_devices_and_links(box: Box) -> None:
    found = box.shell("cd /dev; stat -c '%n %t:%T %a' null zero full random urandom tty; ls -l")
    assert found.splitlines()[:6] == [
        f"{name} {major:x}:{minor:x} 666"
        for name, major, minor in (
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        )
    ]
    for link in ("fd -> /proc/self/fd", "ptmx -> pts/ptmx", "core -> /proc/kcore"):
        assert link in found


def test_kernel_paths_are_masked_or_read_only(box: Box) -> None:
    found = box.shell(
        "cat /proc/keys /proc/timer_list /proc/interrupts; ls /sys/firmware;"
        " echo 1 > /proc/sys/vm/swappiness; mkdir /sys/fs/cgroup/x"
    )
    lines = found.splitlines()
    assert len(lines) == 2, found
    assert all("Read-only file system" in line for line in lines), found
    assert Path("/proc/interrupts").read_text()


def test_privileged_container_has_no_masks_and_all_capabilities(box: Box) -> None:
    found = box.shell(
        "wc -c < /proc/interrupts; grep -E 'CapEff|Seccomp:' /proc/self/status;"
        " grep ' /sys ' /proc/mounts",
        privileged=True,
    ).splitlines()
    status = Path("/proc/self/status").read_text().splitlines()
    bounding = next(line for line in status if line.startswith("CapBnd"))
    assert int(found[0]) > 0
    assert found[1].split()[1] == bounding.split()[1]
    assert found[2].split()[1] == "0"
    assert " rw," in found[3]


def test_read_only_root_keeps_volumes_writable(box: Box, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    mount = BindMount(source=str(tmp_path / "data"), target="/data")
    found = box.shell("echo x > /etc/x; echo y > /data/y", read_only=True, mounts=(mount,))
    assert "Read-only file system" in found
    assert (tmp_path / "data/y").read_text() == "y\n"
    assert not (box.lower / "etc/x").exists()


def test_read_only_bind_covers_what_is_mounted_below_unless_told(box: Box, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    source = str(tmp_path / "data")
    for recursive, answer in (("enabled", 2), ("writable", 1)):
        outer = BindMount(source="/dev", target="/outer", read_only=True, recursive=recursive)
        found = box.shell(
            "touch /outer/x; touch /outer/shm/x-stackr && rm /outer/shm/x-stackr; true",
            mounts=(outer,),
        )
        assert found.count("Read-only file system") == answer, source


def test_volume_with_subpath_and_file_mounts(box: Box, tmp_path: Path) -> None:
    (tmp_path / "volume/sub").mkdir(parents=True)
    (tmp_path / "volume/sub/file").write_text("inside")
    (tmp_path / "hosts").write_text("127.0.0.1 me\n")
    mount = VolumeMount(source="v", target="/data", subpath="sub")
    prepared = {
        "volumes": {"/data": str(tmp_path / "volume")},
        "files": {"/etc/hosts": str(tmp_path / "hosts")},
    }
    assert box.shell("cat /data/file /etc/hosts", mounts=(mount,), prepared=prepared) == (
        "inside127.0.0.1 me\n"
    )


def test_subpath_that_is_a_link_stays_in_the_volume(box: Box, tmp_path: Path) -> None:
    """CVE-2021-25741: the volume's own content points a subpath at the host."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/sub").symlink_to("/etc")
    mount = VolumeMount(source="v", target="/data", subpath="sub")
    prepared = {"volumes": {"/data": str(tmp_path / "volume")}}
    with pytest.raises(SpawnError, match=r"open sources of bind mounts: sub: No such file"):
        box.start("true", mounts=(mount,), prepared=prepared)


def test_mount_targets_that_are_links_stay_in_the_root(box: Box, tmp_path: Path) -> None:
    """CVE-2021-30465 and its like: a mount lands where the image's link says, but inside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data").mkdir()
    (box.lower / "up").symlink_to("../../../../../../../.." + str(outside))
    (box.lower / "abs").symlink_to(str(outside))
    mounts = (
        BindMount(source=str(tmp_path / "data"), target="/up/a"),
        TmpfsMount(target="/abs/b"),
    )
    found = box.shell(f"touch /up/a/x; cd /; ls -d {outside}/a {outside}/b", mounts=mounts)
    assert found.split() == [f"{outside}/a", f"{outside}/b"]
    assert list(outside.iterdir()) == []
    assert (tmp_path / "data/x").exists()


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_image_cannot_redirect_kernel_file_systems(box: Box, name: str) -> None:
    """CVE-2023-27561, CVE-2019-19921: /proc as a link takes the masks elsewhere."""
    (box.lower / name).rmdir()
    (box.lower / "elsewhere").mkdir()
    (box.lower / name).symlink_to("/elsewhere")
    with pytest.raises(SpawnError, match=rf"mount {name}\w* on /{name}: .*symbolic links"):
        box.start("true")


def test_dangling_link_of_an_engine_file_is_followed_inside(box: Box, tmp_path: Path) -> None:
    (tmp_path / "resolv").write_text("nameserver 127.0.0.11\n")
    (box.lower / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    prepared = {"files": {"/etc/resolv.conf": str(tmp_path / "resolv")}}
    assert box.shell("cat /etc/resolv.conf", prepared=prepared) == "nameserver 127.0.0.11\n"


def test_passwd_that_is_a_pipe_or_a_link_to_the_host(box: Box) -> None:
    (box.lower / "etc/passwd").unlink()
    os.mkfifo(box.lower / "etc/passwd")
    found = box.shell("grep Uid /proc/self/status", user="1000:1000")
    assert found.split() == ["Uid:"] + ["1000"] * 4


def test_sources_that_are_missing_are_named(box: Box, tmp_path: Path) -> None:
    mount = BindMount(source=str(tmp_path / "missing"), target="/data")
    with pytest.raises(SpawnError, match=r"step 2 of \d+: .*missing: No such file"):
        box.start("true", mounts=(mount,))


def test_working_folder_cannot_be_outside(box: Box) -> None:
    """CVE-2024-21626: a working folder by way of a leaked descriptor."""
    with pytest.raises(SpawnError):
        box.start("true", working_dir="/proc/self/fd/7")


def test_device_of_the_host(box: Box) -> None:
    from stackr_engine import bootstrap

    devices = tuple(bootstrap.devices_for(("/dev/null:/dev/my/null:rw",)))
    found = box.shell("stat -c '%t:%T' /dev/my/null", prepared={"devices": devices})
    assert found == "1:3\n"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_nothing_is_mounted_on_the_host(box: Box) -> None:
    running = box.start("sleep", "60", mounts=(TmpfsMount(target="/x"),))
    assert str(box.paths.state) not in Path("/proc/self/mountinfo").read_text()
    running.started.kill(9)
