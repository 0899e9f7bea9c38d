"""What a container's process finds: its namespaces, its streams, its privileges."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine.paths import Paths
from stackr_engine.spawn.client import SpawnError
from stackr_schemas.container import Rlimit, TmpfsMount
from stackr_schemas.image import ImageConfig

from tests.kernel.box import SHELL, Box, box_in

pytestmark = pytest.mark.requires("root", "overlayfs")
NAMESPACES = ("pid", "mnt", "net", "ipc", "uts", "cgroup")


@pytest.fixture
def box(paths: Paths, tmp_path: Path) -> Iterator[Box]:
    with box_in(paths, tmp_path / "lower") as box:
        yield box


def test_every_namespace_differs_from_the_hosts(box: Box) -> None:
    netns = box.netns("net")
    found = box.shell("readlink /proc/self/ns/*", prepared={"netns": netns}).split()
    host = {os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}
    assert len([name for name in found if name.split(":")[0] in NAMESPACES]) >= 6
    assert not host & set(found)


def test_it_joins_the_network_namespace_that_was_made_before(box: Box) -> None:
    netns = box.netns("net")
    found = box.shell("readlink /proc/self/ns/net", prepared={"netns": netns}).strip()
    assert found == f"net:[{os.stat(netns).st_ino}]"


def test_first_process_is_number_one_and_sees_only_its_own(box: Box) -> None:
    assert box.shell("echo $$; ls -d /proc/[0-9]*").split()[:2] == ["1", "/proc/1"]


def test_exit_code_and_streams_are_kept(box: Box) -> None:
    done = box.run(*SHELL, "echo out; echo err >&2; exit 3")
    assert (done.output("stdout"), done.output("stderr")) == ("out\n", "err\n")
    end = done.finish()
    assert (end.code, end.signal) == (3, 0)


def test_killed_container_has_128_plus_signal(box: Box) -> None:
    running = box.start("sleep", "60")
    running.started.kill(9)
    end = running.finish()
    assert (end.code, end.signal) == (137, 9)


def test_nothing_of_the_host_is_open(box: Box) -> None:
    with open("/etc/passwd") as leak:
        os.set_inheritable(leak.fileno(), True)
        found = box.shell("ls -l /proc/self/fd").splitlines()[1:]
    targets = [line.partition("-> ")[2] for line in found]
    assert targets[0] == "/dev/null"
    assert [target.split(":")[0] for target in targets[1:3]] == ["pipe", "pipe"]
    assert len(targets) == 4  # the fourth is ls's own


def test_environment_is_the_containers_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    config = ImageConfig(env=("A=image", "B=image"))
    found = box.shell("env", image=config, environment={"A": "spec"}, hostname="web").splitlines()
    values = dict(line.split("=", 1) for line in found)
    values.pop("PWD", None)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert values == {
        "A": "spec",
        "B": "image",
        "HOME": "/root",
        "HOSTNAME": "web",
        "PATH": path,
    }


def test_signals_are_neither_ignored_nor_blocked_and_umask_is_022(box: Box) -> None:
    status = box.shell("cat /proc/self/status; umask")
    for name in ("SigIgn", "SigBlk"):
        assert f"{name}:\t0000000000000000" in status
    assert status.splitlines()[-1] == "0022"


def test_default_capabilities_filter_and_no_more(box: Box) -> None:
    values = dict(
        line.split(":\t")
        for line in box.shell("cat /proc/self/status").splitlines()
        if ":\t" in line
    )
    assert {values[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"00000000a80425fb"}
    assert {values[name] for name in ("CapInh", "CapAmb")} == {"0000000000000000"}
    assert values["Seccomp"] == "2"
    assert values["NoNewPrivs"] == "0"


def test_no_new_privileges_and_dropped_capabilities(box: Box) -> None:
    status = box.shell("cat /proc/self/status", no_new_privileges=True, cap_drop=("ALL",))
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_user_by_name_has_its_groups_home_and_no_capability(box: Box) -> None:
    found = box.shell("id; echo $HOME; grep CapEff /proc/self/status", user="bob", groups=("more",))
    assert found.splitlines() == [
        "uid=1000(bob) gid=1000(bob) groups=1000(bob),50(extra),60(more)",
        "/home/bob",
        "CapEff:\t0000000000000000",
    ]


def test_user_can_open_its_own_stdout(box: Box) -> None:
    assert box.shell("echo hello > /dev/stdout", user="bob") == "hello\n"


def test_unknown_user_names_the_step(box: Box) -> None:
    with pytest.raises(
        SpawnError, match=r"step \d+ of \d+: find the user: unable to find user eve"
    ):
        box.start("true", user="eve")


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_command_that_cannot_run(box: Box, command: str, code: int, text: str) -> None:
    with pytest.raises(SpawnError) as caught:
        box.start(command)
    assert (caught.value.exit_code, str(caught.value)) == (code, text)
    left = set(os.listdir(box.paths.container(f"{1:064x}")))
    assert left <= {"rootfs", "upper", "work", "container.log", "attach.sock"}


def test_working_folder_is_made_and_entered(box: Box) -> None:
    assert box.shell("pwd", working_dir="/srv/app") == "/srv/app\n"


def test_rlimits_and_oom_score(box: Box) -> None:
    limit = Rlimit(name="nofile", soft=64, hard=128)
    text = "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj"
    assert box.shell(text, rlimits=(limit,), oom_score_adj=500).split() == ["64", "128", "500"]


def test_hostname_domainname_and_sysctl(box: Box) -> None:
    found = box.shell(
        "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/sys/kernel/msgmax",
        hostname="web",
        domainname="example.org",
        sysctls={"kernel.msgmax": "4711"},
    )
    assert found.split() == ["web", "example.org", "4711"]
    assert Path("/proc/sys/kernel/msgmax").read_text().strip() != "4711"


def test_init_reaps_orphans_and_passes_signals_on(box: Box) -> None:
    script = 'trap "echo term; exit 5" TERM; (sleep 0.05 &); echo up; while :; do sleep 0.02; done'
    running = box.start(*SHELL, script, init=True)
    while "up" not in running.output():
        os.sched_yield()
    code, ps = box.exec_output(running, "/bin/sh", "-c", "sleep 0.3; cat /proc/[0-9]*/stat")
    assert code == 0
    assert ") Z 1 " not in ps
    running.started.kill(15)
    assert running.finish().code == 5
    assert "term\n" in running.output()


def test_init_shows_nothing_of_the_host(box: Box) -> None:
    found = box.shell("tr '\\0' ' ' </proc/1/cmdline; ls -l /proc/1/exe /proc/1/fd", init=True)
    assert str(box.paths.run) not in found
    assert "python" not in found
    running = box.start("sleep", "60", init=True)
    assert set(os.listdir(f"/proc/{running.started.pid}/fd")) == {"0", "1", "2"}


def test_first_process_dies_with_its_shim(box: Box) -> None:
    running = box.start("sleep", "60")
    os.kill(running.started.shim_pid, 9)
    assert running.started.wait(5)
    deadline = 500
    while os.path.exists(f"/proc/{running.started.pid}") and deadline:
        deadline -= 1
        box.run("true")
    assert deadline


def test_the_programs_before_execve_cannot_be_overwritten(box: Box) -> None:
    """CVE-2019-5736: a container that executes /proc/self/exe gets the runtime's own file."""
    exe = f"/proc/{box.spawner._pid}/exe"
    box.run("true")  # the spawner is ready
    with pytest.raises(OSError, match=r"Read-only file system|Text file busy"):
        os.open(exe, os.O_WRONLY)
    mount = os.open(exe, os.O_RDONLY)
    assert os.fstatvfs(mount).f_flag & os.ST_RDONLY
    os.close(mount)


def test_tmpfs_with_its_own_options(box: Box) -> None:
    mount = TmpfsMount(target="/scratch", size=1 << 20, mode=0o750)
    found = box.shell("grep ' /scratch ' /proc/mounts; stat -c %a /scratch", mounts=(mount,))
    assert "size=1024k" in found
    assert found.splitlines()[1] == "750"
