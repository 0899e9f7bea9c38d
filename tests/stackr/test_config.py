"""`stackr config`, as a user calls it."""

import json
import os
from pathlib import Path

import pytest
import yaml

from stackr.cli import run
from stackr.session import Request, Session

STACK = """
name: shop
services:
  web:
    image: nginx:${TAG:-1}
    depends_on: [db]
    ports: ["8080:80"]
    environment: {URL: "http://$HOST", KEY: , PLAIN: x}
    env_file: web.env
    x-note: kept
  db:
    image: db
    command: [sh, -c, "echo $$HOME"]
    volumes: ["data:/data"]
    profiles: []
  debug:
    build: .
    profiles: [dev, test]
volumes: {data: , unused: }
networks: {other: }
"""


@pytest.fixture
def stackr(tmp_path: Path):
    """Run a command in a folder of its own; returns its status, stdout and stderr."""
    (tmp_path / "compose.yaml").write_text(STACK)
    (tmp_path / "web.env").write_text("FROM_FILE=f\nPLAIN=below\n")
    (tmp_path / ".env").write_text("HOST=db.local\n")

    def call(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        out, err = tmp_path / "out", tmp_path / "err"
        files = [os.open(f, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for f in (out, err)]
        fds = (os.open(os.devnull, os.O_RDONLY), *files)
        request = Request("", "", str(tmp_path), arguments, environment or {"KEY": "k"}, fds)
        session = Session(request)
        status = run(session)
        session.end(status)
        return status, out.read_text(), err.read_text()

    return call


def printed(stackr, *arguments: str) -> str:
    status, out, err = stackr(*arguments)
    assert status == 0, err
    return out


def test_the_canonical_form_reads_back_to_itself(stackr, tmp_path: Path) -> None:
    first = printed(stackr, "config")
    (tmp_path / "compose.yaml").write_text(first)
    assert printed(stackr, "config") == first
    data = yaml.safe_load(first)
    assert list(data) == ["name", "services", "networks", "volumes"]
    assert data["services"]["db"]["command"] == ["sh", "-c", "echo $$HOME"]
    assert data["services"]["web"]["x-note"] == "kept"
    assert data["services"]["web"]["environment"] == {
        "FROM_FILE": "f",
        "KEY": "k",
        "PLAIN": "x",
        "URL": "http://db.local",
    }
    assert list(data["volumes"]) == ["data"]


def test_json_has_no_extensions_and_always_a_command(stackr) -> None:
    data = json.loads(printed(stackr, "config", "--format", "json"))
    assert "x-note" not in data["services"]["web"]
    assert data["services"]["web"]["command"] is None


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--services"], ["db", "web"]),
        (["--images"], ["db", "nginx:1"]),
        (["--volumes"], ["data"]),
        (["--networks"], ["default"]),
        (["--profiles"], ["dev", "test"]),
        (["--models"], []),
        (["--services", "db"], ["db"]),
        (["-q"], []),
        (["--environment"], ["COMPOSE_PROJECT_NAME=shop", "HOST=db.local", "KEY=k"]),
    ],
)
def test_names_are_listed(stackr, arguments: list[str], lines: list[str]) -> None:
    assert printed(stackr, "config", *arguments).splitlines() == lines


def test_a_profile_brings_its_services(stackr) -> None:
    assert "debug" in printed(stackr, "--profile", "dev", "config", "--services")
    assert printed(stackr, "config", "--images", "debug").split() == ["shop-debug"]


def test_hashes_change_with_what_needs_a_new_container(stackr, tmp_path: Path) -> None:
    before = dict(line.split() for line in printed(stackr, "config", "--hash", "*").splitlines())
    assert set(before) == {"web", "db"} and len(before["web"]) == 64
    text = STACK.replace("8080:80", "8081:80").replace("profiles: []", "scale: 3")
    (tmp_path / "compose.yaml").write_text(text)
    after = dict(line.split() for line in printed(stackr, "config", "--hash", "*").splitlines())
    assert after["web"] != before["web"] and after["db"] == before["db"]
    assert stackr("config", "--hash", "nope")[0] == 1


def test_variables_are_listed_with_their_defaults(stackr) -> None:
    assert printed(stackr, "config", "--variables").splitlines() == [
        "NAME   REQUIRED   DEFAULT VALUE   ALTERNATE VALUE",
        "HOST   false",
        "TAG    false      1",
    ]
    rows = json.loads(printed(stackr, "config", "--variables", "--format", "json"))
    assert rows[1]["default_value"] == "1"


def test_each_variable_of_a_service_is_explained(stackr) -> None:
    assert printed(stackr, "config", "--explain-env", "web").splitlines() == [
        "NAME        VALUE             FROM",
        "FROM_FILE   f                 web.env",
        "KEY         k                 shell (passed on at compose.yaml:8:40)",
        "PLAIN       x                 compose.yaml:8:47",
        "URL         http://db.local   compose.yaml:8:19 (HOST from .env)",
    ]
    assert stackr("config", "--explain-env", "nope")[0] == 1


def test_switches_keep_things_as_they_are_written(stackr) -> None:
    raw = yaml.safe_load(printed(stackr, "config", "--no-interpolate"))
    assert raw["services"]["web"]["image"] == "nginx:${TAG:-1}"
    relative = yaml.safe_load(printed(stackr, "config", "--no-path-resolution", "debug"))
    assert relative["services"]["debug"]["build"]["context"] == "."
    bare = yaml.safe_load(printed(stackr, "config", "--no-normalize"))
    assert "networks" not in bare["services"]["db"]
    unread = yaml.safe_load(printed(stackr, "config", "--no-env-resolution"))
    assert "FROM_FILE" not in unread["services"]["web"]["environment"]


def test_consistency_checks_can_be_skipped(stackr, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: a, networks: [n]}}")
    assert stackr("config")[0] == 1
    assert stackr("config", "--no-consistency")[0] == 0


def test_the_result_can_be_written_to_a_file(stackr, tmp_path: Path) -> None:
    assert printed(stackr, "config", "-o", "found.yaml") == ""
    assert yaml.safe_load((tmp_path / "found.yaml").read_text())["name"] == "shop"


def test_mistakes_and_warnings_go_to_stderr(stackr, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: a$NOPE}}")
    status, out, err = stackr("config", "-q")
    assert (status, out) == (0, "") and '"NOPE" variable is not set' in err
    (tmp_path / "compose.yaml").write_text("services: {web: {imag: a}}")
    status, out, err = stackr("config")
    assert (status, out) == (1, "") and "did you mean image?" in err
