"""Specs become OCI configs."""

from pathlib import Path
from typing import Any

import pytest
from stackr_engine.bootstrap import Prepared, Privileges, devices_for, oci_config, start_request
from stackr_engine.bootstrap.mounts import mounts_for
from stackr_engine.bootstrap.privileges import privileges_for
from stackr_engine.bootstrap.process import arguments, environment, working_dir
from stackr_engine.spawn.request import Seccomp
from stackr_schemas.container import BindMount, ContainerSpec, TmpfsMount, VolumeMount
from stackr_schemas.errors import StackrError
from stackr_schemas.image import Image, ImageConfig

PRIVILEGES = Privileges(("CAP_CHOWN",), {"defaultAction": "SCMP_ACT_ALLOW"}, Seccomp(b"x", 1))
FOLDER = Path("/state/containers/id")


def spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec(**({"name": "c", "image": "i", "command": ("run",)} | fields))


def image(**fields: Any) -> Image:
    return Image(id="sha256:0", reference="i", config=ImageConfig(**fields), lowers=("/l1", "/l2"))


def config(wanted: ContainerSpec, netns: str | None = "/run/netns/id", **fields: Any) -> Any:
    ready = Prepared("a" * 64, FOLDER, PRIVILEGES, netns, **fields)
    return oci_config(wanted, image(), ready)


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, None, ["ie", "ic"]),
        (None, ("c",), ["ie", "c"]),
        (None, (), ["ie"]),
        (("e",), None, ["e"]),
        (("e",), ("c", "d"), ["e", "c", "d"]),
        ((), ("c",), ["c"]),
    ],
)
def test_entrypoint_and_command(entrypoint: Any, command: Any, expected: list[str]) -> None:
    picture = image(entrypoint=("ie",), cmd=("ic",))
    assert arguments(spec(entrypoint=entrypoint, command=command), picture) == expected


def test_nothing_to_run_is_refused_with_a_hint() -> None:
    with pytest.raises(StackrError, match="says what to run") as caught:
        arguments(spec(command=None), image())
    assert caught.value.hint == "set `command`"


def test_environment_of_the_spec_wins_over_the_images_over_defaults() -> None:
    picture = image(env=("PATH=/image", "A=1", "EMPTY"))
    found = environment(spec(environment={"A": "2", "B": "3"}, tty=True), picture, "host")
    assert found == ["PATH=/image", "HOSTNAME=host", "TERM=xterm", "A=2", "EMPTY=", "B=3"]


@pytest.mark.parametrize(
    ("own", "images", "expected"),
    [
        (None, "", "/"),
        (None, "/srv", "/srv"),
        ("app", "/srv", "/app"),
        ("/a/../../b/", "", "/b"),
        ("//a", "", "/a"),
    ],
)
def test_working_folder(own: str | None, images: str, expected: str) -> None:
    assert working_dir(spec(working_dir=own), image(working_dir=images)) == expected


def test_a_plain_container() -> None:
    found = config(spec())
    assert found["ociVersion"] == "1.2.0"
    assert found["root"] == {"path": "/state/containers/id/rootfs", "readonly": False}
    assert found["hostname"] == "a" * 12
    kinds = [item["type"] for item in found["linux"]["namespaces"]]
    assert sorted(kinds) == ["cgroup", "ipc", "mount", "network", "pid", "uts"]
    assert {"type": "network", "path": "/run/netns/id"} in found["linux"]["namespaces"]
    assert found["linux"]["seccomp"] == PRIVILEGES.profile
    assert "/proc/kcore" in found["linux"]["maskedPaths"]
    assert "/proc/sys" in found["linux"]["readonlyPaths"]
    sets = found["process"]["capabilities"]
    assert sets == {kind: ["CAP_CHOWN"] for kind in ("bounding", "effective", "permitted")}


def test_host_network_has_no_network_namespace() -> None:
    found = config(spec(), netns=None)
    assert "network" not in [item["type"] for item in found["linux"]["namespaces"]]


def test_host_uts_leaves_the_name_alone() -> None:
    found = config(spec(uts_mode="host", hostname="web"))
    assert "hostname" not in found
    assert "uts" not in [item["type"] for item in found["linux"]["namespaces"]]


def test_privileged_masks_nothing() -> None:
    found = config(spec(privileged=True))
    assert found["linux"]["maskedPaths"] == found["linux"]["readonlyPaths"] == []
    options = {mount["destination"]: mount["options"] for mount in found["mounts"]}
    assert "rw" in options["/sys"]
    assert "rw" in options["/sys/fs/cgroup"]


@pytest.mark.parametrize(
    "fields", [{"pid_mode": "host"}, {"ipc_mode": "container:x"}, {"uts_mode": "service:x"}]
)
def test_namespaces_that_are_not_served_are_refused_by_name(fields: dict[str, str]) -> None:
    value = next(iter(fields.values()))
    with pytest.raises(StackrError, match=f"{value} is not supported"):
        config(spec(**fields))


@pytest.mark.parametrize("name", ["kernel.panic", "vm.swappiness", "net.core.somaxconn"])
def test_sysctls_of_the_host_are_refused(name: str) -> None:
    with pytest.raises(StackrError, match="is the host's"):
        config(spec(sysctls={name: "1"}), netns=None)


def test_sysctls_of_the_container_are_kept() -> None:
    wanted = {"net.core.somaxconn": "9", "kernel.shmmax": "1", "net/ipv4/conf/eth0.1/arp": "1"}
    assert config(spec(sysctls=wanted))["linux"]["sysctl"] == wanted


def by_target(*mounts: Any, files: Any = None, volumes: Any = None, **fields: Any) -> Any:
    found = mounts_for(spec(mounts=mounts, **fields), volumes or {}, files or {})
    return {mount["destination"]: mount for mount in found}


def test_mounts_are_made_from_the_root_down() -> None:
    mounts = (TmpfsMount(target="/a/b/c"), TmpfsMount(target="/a"), TmpfsMount(target="/a/b"))
    targets = list(by_target(*mounts))
    assert targets.index("/a") < targets.index("/a/b") < targets.index("/a/b/c")
    assert targets.index("/dev") < targets.index("/dev/pts")


@pytest.mark.parametrize(
    ("recursive", "read_only", "options"),
    [
        ("enabled", False, ["rbind", "rw", "rprivate"]),
        ("enabled", True, ["rbind", "rro", "rprivate"]),
        ("readonly", True, ["rbind", "rro", "rprivate"]),
        ("writable", True, ["rbind", "ro", "rprivate"]),
        ("disabled", True, ["bind", "ro", "rprivate"]),
        ("disabled", False, ["bind", "rw", "rprivate"]),
    ],
)
def test_bind_options(recursive: Any, read_only: bool, options: list[str]) -> None:
    mount = BindMount(source="/s", target="/t", read_only=read_only, recursive=recursive)
    assert by_target(mount)["/t"]["options"] == options


def test_tmpfs_options_override_the_careful_defaults() -> None:
    mount = TmpfsMount(target="/t/", size=10, options=("exec", "uid=5"))
    safe = ["nosuid", "noexec", "nodev"]
    assert by_target(mount)["/t"]["options"] == [*safe, "exec", "uid=5", "size=10", "mode=1777"]
    mount = TmpfsMount(target="/t", mode=0o700, read_only=True)
    assert by_target(mount)["/t"]["options"] == [*safe, "ro", "mode=700"]


def test_volumes_named_anonymous_and_with_subpath() -> None:
    mount = VolumeMount(source="v", target="/v", subpath="s", read_only=True)
    found = by_target(mount, volumes={"/v": "/host/v", "/anon": "/host/anon"})
    assert (found["/v"]["source"], found["/v"]["subpath"]) == ("/host/v", "s")
    assert "rro" in found["/v"]["options"]
    assert found["/anon"]["source"] == "/host/anon"


def test_engine_files_give_way_to_the_users_and_follow_a_read_only_root() -> None:
    mount = BindMount(source="/mine", target="/etc/hosts")
    files = {"/etc/hosts": "/e/hosts", "/etc/hostname": "/e/hostname"}
    found = by_target(mount, files=files, read_only=True)
    assert found["/etc/hosts"]["source"] == "/mine"
    assert found["/etc/hostname"]["options"][-1] == "ro"


def test_own_shm_replaces_the_default_one() -> None:
    mount = TmpfsMount(target="/dev/shm", size=5)
    assert "size=5" in by_target(mount)["/dev/shm"]["options"]
    assert f"size={1 << 20}" in by_target(shm_size=1 << 20)["/dev/shm"]["options"]


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/sys", "/a/../proc/1", "/proc/"])
def test_targets_that_would_undo_the_protection_are_refused(target: str) -> None:
    with pytest.raises(StackrError):
        by_target(TmpfsMount(target=target))


def test_lxcfs_files_may_be_mounted_in_proc() -> None:
    assert "/proc/meminfo" in by_target(BindMount(source="/l", target="/proc/meminfo"))


def test_start_request_carries_what_a_config_cannot_say() -> None:
    wanted = spec(user="bob", groups=("g",), init=True, stdin_open=True, tty=True)
    ready = Prepared("a" * 64, FOLDER, PRIVILEGES, cgroup_procs=("/c",), oom_file="/o")
    request = start_request(wanted, image(), ready, (1, 2))
    assert request.overlay is not None
    assert request.overlay.lowers == ("/l1", "/l2")
    assert (request.user, request.groups, request.init) == ("bob", ("g",), True)
    assert (request.stdin_open, request.tty, request.size) == (True, True, (1, 2))
    assert request.seccomp == PRIVILEGES.seccomp
    assert request.log is not None
    assert request.log.path == "/state/containers/id/container.log"


def test_images_user_unless_the_spec_says_one() -> None:
    ready = Prepared("a" * 64, FOLDER, PRIVILEGES)
    assert start_request(spec(), image(user="app"), ready).user == "app"
    assert start_request(spec(user="0"), image(user="app"), ready).user == "0"


def test_privileges_compile_once_and_follow_the_spec() -> None:
    default = privileges_for(spec())
    assert privileges_for(spec()) is default
    assert default.seccomp.program
    assert privileges_for(spec(), privileged=True).profile is None
    assert privileges_for(spec(seccomp="unconfined")).seccomp.program == b""
    assert "CAP_CHOWN" not in privileges_for(spec(cap_drop=("CHOWN",))).capabilities
    with pytest.raises(StackrError, match="not JSON"):
        privileges_for(spec(seccomp="{"))


def test_devices_by_path_with_place_and_access() -> None:
    (device,) = devices_for(("/dev/null:/dev/mine:r",))
    assert (device.path, device.major, device.minor, device.access) == ("/dev/mine", 1, 3, "r")
    assert str(device.rule) == "c 1:3 r"
    (device,) = devices_for(("/dev/zero:rw",))
    assert (device.path, device.access) == ("/dev/zero", "rw")


@pytest.mark.parametrize("text", ["/dev/nosuch", "/etc/passwd", "/dev/null:/x:q"])
def test_what_is_no_device_is_refused(text: str) -> None:
    with pytest.raises(StackrError):
        devices_for((text,))
