"""The verbs, as Docker Compose has them."""

import json
import sqlite3
import subprocess
from contextlib import closing

import pytest
from stackr_engine.paths import Paths

from tests.scenarios.runner import Stack, eventually

pytestmark = pytest.mark.requires("root", "overlayfs")
PREFIX = "com.docker.compose."
FIELDS = {
    *("Command", "CreatedAt", "ExitCode", "Health", "ID", "Image", "Labels", "LocalVolumes"),
    *("Mounts", "Name", "Names", "Networks", "Ports", "Project", "Publishers", "RunningFor"),
    *("Service", "Size", "State", "Status"),
}


def test_up_twice_does_nothing_the_second_time(stack: Stack) -> None:
    first = stack.attempt("up", "-d", "web")
    assert " Network lifecycle_default  Created" in first.err.splitlines()
    assert " Container lifecycle-web-1  Started" in first.err.splitlines()
    before = stack.ps()["lifecycle-web-1"]["ID"]
    second = stack.attempt("up", "-d", "web")
    assert second.err.splitlines() == [" Container lifecycle-web-1  Running"]
    assert stack.ps()["lifecycle-web-1"]["ID"] == before
    assert stack.logs("web") == ["started"]


def test_a_changed_service_is_recreated_and_only_that(stack: Stack) -> None:
    stack.run("up", "-d")
    before = stack.ps()
    stack.variables["NEW"] = "value"
    plan = stack.run("up", "--dry-run")
    assert "lifecycle-web-1" in plan
    assert "environment" in plan
    stack.run("up", "-d")
    after = stack.ps()
    assert after["lifecycle-web-1"]["ID"] != before["lifecycle-web-1"]["ID"]
    assert after["lifecycle-job-1"]["ID"] == before["lifecycle-job-1"]["ID"]
    assert "NEW=value" in stack.run("exec", "-T", "web", "env").splitlines()


def test_ps_json_has_composes_fields_and_labels(stack: Stack, port: int) -> None:
    stack.run("up", "-d")
    eventually(lambda: stack.states()["job-1"] == "exited")
    web, job = stack.ps()["lifecycle-web-1"], stack.ps()["lifecycle-job-1"]
    assert set(web) == FIELDS
    assert web["Ports"] == f"127.0.0.1:{port}->80/tcp"
    assert web["Publishers"] == [
        {"URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": port, "Protocol": "tcp"}
    ]
    labels = dict(pair.split("=", 1) for pair in web["Labels"].split(","))
    assert labels["my.label"] == "yes"
    assert labels[PREFIX + "project"] == "lifecycle"
    assert labels[PREFIX + "service"] == "web"
    assert labels[PREFIX + "container-number"] == "1"
    assert labels[PREFIX + "oneoff"] == "False"
    assert labels[PREFIX + "project.working_dir"] == str(stack.folder)
    assert (job["State"], job["ExitCode"]) == ("exited", 3)
    assert job["Status"].startswith("Exited (3) ")


def test_stop_start_restart_and_kill(stack: Stack) -> None:
    stack.run("up", "-d", "web")
    stack.run("stop", "web")
    assert stack.states() == {"web-1": "exited"}
    assert stack.ps()["lifecycle-web-1"]["ExitCode"] == 4
    stack.run("start", "web")
    stack.run("restart", "web")
    assert stack.logs("web") == ["started", "bye", "started", "bye", "started"]
    stack.run("kill", "web")
    eventually(lambda: stack.ps()["lifecycle-web-1"]["ExitCode"] == 137)


def test_exec_gives_back_the_exit_status_and_both_streams(stack: Stack) -> None:
    stack.run("up", "-d", "web")
    done = stack.attempt("exec", "-T", "web", "sh", "-c", "cat; echo err >&2; exit 7", stdin="in")
    assert (done.status, done.out, done.err) == (7, "in", "err\n")
    assert stack.attempt("exec", "-T", "web", "no-such-program").status == 127
    assert stack.attempt("exec", "-T", "web", "/etc/passwd").status == 126
    assert stack.attempt("exec", "-T", "web", "sh", "-c", "kill -9 $$").status == 137
    done = stack.attempt("exec", "-T", "job", "true")
    assert (done.status, 'service "job" is not running' in done.err) == (1, True)


def test_exec_sees_the_container_not_the_host(stack: Stack) -> None:
    stack.run("up", "-d", "web")
    assert stack.run("exec", "-T", "web", "cat", "/proc/1/comm") == "sh\n"
    hostname = stack.run("exec", "-T", "web", "cat", "/etc/hostname").strip()
    assert hostname == stack.ps()["lifecycle-web-1"]["ID"]
    options = ("-e", "COLOUR=blue", "-w", "/tmp", "-u", "65534:65534")
    answer = stack.run("exec", "-T", *options, "web", "sh", "-c", "echo $COLOUR $PWD; id -u")
    assert answer == "blue /tmp\n65534\n"


def test_run_is_a_container_of_its_own(stack: Stack) -> None:
    stack.run("up", "-d", "web")
    done = stack.attempt("run", "--rm", "-T", "job", "sh", "-c", "cat; exit 5", stdin="given")
    assert (done.status, done.out) == (5, "given")
    assert list(stack.states()) == ["web-1"]
    stack.attempt("run", "-T", "--name", "kept", "job", "true")
    assert stack.ps()["kept"]["State"] == "exited"
    stack.run("down", "-v", "--remove-orphans")
    assert stack.ps() == {}


def test_logs_have_time_stamps_and_tails(stack: Stack) -> None:
    stack.run("up", "-d")
    stack.run("restart", "web")
    lines = stack.run("logs", "-t", "-n", "1", "web", "job").splitlines()
    assert len(lines) == 2
    job = next(line for line in lines if line.startswith("job-1"))
    stamp, text = job.split(" | ", 1)[1].split(" ", 1)
    assert stamp.endswith("Z")
    assert text == "doing sh"


def test_a_failing_service_is_started_again_as_often_as_its_policy_says(stack: Stack) -> None:
    stack.run("--profile", "again", "up", "-d", "again")
    eventually(lambda: stack.states() == {"again-1": "exited"}, 20)
    assert stack.logs("again") == ["run", "run", "run"]


def test_the_memory_limit_is_the_kernels(stack: Stack) -> None:
    stack.run("up", "-d", "web")
    grow = "x = bytearray(200 << 20)"
    assert stack.attempt("exec", "-T", "web", "python3", "-c", grow).status == 137
    assert stack.states() == {"web-1": "running"}


def test_config_is_a_file_that_means_the_same(stack: Stack) -> None:
    text = stack.run("config", "--format", "json")
    assert json.loads(text)["name"] == "lifecycle"
    stack.run("up", "-d", "web")
    before = stack.ps()["lifecycle-web-1"]["ID"]
    (stack.folder / "stack.yaml").write_text(text)
    stack.run("up", "-d", "web")
    assert stack.ps()["lifecycle-web-1"]["ID"] == before


@pytest.mark.requires("nft")
def test_after_down_v_nothing_is_left(stack: Stack) -> None:
    stack.run("up", "-d")
    assert stack.paths.instance in nftables()
    assert rows(stack.paths)
    stack.run("down", "-v")
    assert stack.ps() == {}
    for folder in ("containers", "volumes"):
        assert list((stack.paths.state / folder).iterdir()) == []
    assert list((stack.paths.run / "netns").iterdir()) == []
    assert rows(stack.paths) == {}
    eventually(lambda: not list(stack.paths.trash.iterdir()))
    eventually(lambda: stack.paths.instance not in nftables())
    again = stack.attempt("down", "-v")
    assert (again.status, again.out) == (0, "")


def nftables() -> str:
    """The names of all tables in the kernel."""
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout


def rows(paths: Paths) -> dict[str, int]:
    """How many records each table of the engine's database holds, empty ones left out."""
    with closing(sqlite3.connect(paths.database)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        counts = {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in tables
        }
    return {name: count for name, count in counts.items() if count}
