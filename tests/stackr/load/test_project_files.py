"""Which files, which names, which variables: discovery and precedence."""

import pytest
from stackr_schemas.errors import StackrError

from stackr.load import LoadOptions, find_files, load_project
from stackr.load.loader import normalized_name
from tests.stackr.load.memory import MemoryFiles, load

WEB = "services: {web: {image: '${A-none}'}}"


def image(texts: dict[str, str], **given: object) -> str:
    return load(texts, **given).services["web"].image


def test_files_are_found_upwards_and_ours_come_first() -> None:
    names = ["stack.yml", "compose.yaml", "docker-compose.yml", "compose.override.yml"]
    files = MemoryFiles(dict.fromkeys(names, ""))
    assert find_files("/stack/a/b", files) == ("/stack/stack.yml",)
    del files.texts["/stack/stack.yml"]
    assert find_files("/stack", files) == ("/stack/compose.yaml", "/stack/compose.override.yml")
    assert find_files("/elsewhere", files) == ()


def test_the_choice_between_many_files_is_warned_of() -> None:
    texts = {"compose.yaml": WEB, "compose.yml": WEB}
    assert load(texts).warnings == (
        "Found multiple config files with supported names: /stack/compose.yaml, /stack/compose.yml",
        "Using /stack/compose.yaml",
    )


def test_no_file_is_one_message_with_a_next_step() -> None:
    with pytest.raises(StackrError, match=r"no stack file found here or above.*-f"):
        load({})


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(StackrError, match=r"the stack file /stack/no\.yaml is not there"):
        load({}, files=("no.yaml",))


def test_files_come_from_the_variable_too() -> None:
    texts = {
        "a.yaml": WEB,
        "b.yaml": "services: {web: {user: me}}",
        ".env": "COMPOSE_FILE=a.yaml;b.yaml\nCOMPOSE_PATH_SEPARATOR=;",
    }
    assert load(texts).services["web"].user == "me"


def test_standard_input_is_a_file() -> None:
    assert load({}, files=("-",), stdin="services: {web: {image: x}}").name == "stack"


@pytest.mark.parametrize(
    ("texts", "given", "result"),
    [
        ({}, {}, "none"),
        ({".env": "A=dot"}, {}, "dot"),
        ({".env": "A=dot"}, {"environment": {"A": "shell"}}, "shell"),
        ({".env": "A=dot", "x.env": "A=x"}, {"env_files": ("x.env",)}, "x"),
        ({"x.env": "A=x", "y.env": "A=${A}y"}, {"env_files": ("x.env", "y.env")}, "xy"),
        ({"x.env": "A=x"}, {"environment": {"COMPOSE_ENV_FILES": "x.env"}}, "x"),
        ({".env": "A=dot"}, {"environment": {"COMPOSE_DISABLE_ENV_FILE": "1"}}, "none"),
        ({"p/.env": "A=there"}, {"project_directory": "p", "files": ("compose.yaml",)}, "there"),
    ],
)
def test_variables_have_an_order_of_precedence(
    texts: dict[str, str], given: dict[str, object], result: str
) -> None:
    assert image({"compose.yaml": WEB} | texts, **given) == result


@pytest.mark.parametrize(
    ("text", "given", "name"),
    [
        (WEB, {}, "stack"),
        (f"name: Given Name\n{WEB}", {}, "givenname"),
        (f"name: a-$B\n{WEB}", {"environment": {"B": "b"}}, "a-b"),
        (f"name: file\n{WEB}", {"environment": {"COMPOSE_PROJECT_NAME": "shell"}}, "shell"),
        (f"name: file\n{WEB}", {"project_name": "option"}, "option"),
    ],
)
def test_the_project_has_a_name(text: str, given: dict[str, object], name: str) -> None:
    assert load(text, **given).name == name
    assert load(text, **given).environment["COMPOSE_PROJECT_NAME"] == name


def test_a_wrong_project_name_is_refused() -> None:
    with pytest.raises(StackrError, match="invalid project name 'A b'"):
        load(WEB, project_name="A b")
    assert normalized_name("_-My App.2") == "myapp2"


def test_profiles_come_from_options_or_the_variable() -> None:
    text = "services: {web: {image: a}, d: {image: b, profiles: [dev]}}"
    assert set(load(text).services) == {"web"}
    assert set(load(text, profiles=("dev",)).services) == {"web", "d"}
    assert set(load(text, environment={"COMPOSE_PROFILES": "x,dev"}).services) == {"web", "d"}


def test_nothing_is_read_from_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "leaked")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "leaked")
    project = load_project(LoadOptions(cwd="/stack"), MemoryFiles({"compose.yaml": WEB}))
    assert (project.name, project.services["web"].image) == ("stack", "none")


ENV_STACK = """
services:
  web:
    image: a
    env_file: [a.env, {path: b.env, format: raw}, {path: no.env, required: false}]
    label_file: l.labels
    environment: {OWN: own, A: over, GIVEN: }
    labels: {x: mine}
"""


def test_env_and_label_files_are_below_what_the_service_says() -> None:
    texts = {
        "compose.yaml": ENV_STACK,
        "a.env": "A=a\nB=${OWN}$SHELL_V",
        "b.env": "B2='$A'\nB=b",
        "l.labels": "x=file\ny=1",
    }
    web = load(texts, environment={"SHELL_V": "s", "GIVEN": "g"}).services["web"]
    assert web.environment == {"A": "over", "B": "b", "B2": "'$A'", "OWN": "own", "GIVEN": "g"}
    assert web.labels == {"x": "mine", "y": "1"} and web.env_file == ()


def test_variables_of_an_env_file_use_the_shell_and_the_service() -> None:
    texts = {
        "compose.yaml": "services: {web: {image: a, env_file: a.env, environment: {OWN: own}}}",
        "a.env": "B=${OWN}$SHELL_V",
    }
    web = load(texts, environment={"SHELL_V": "s"}).services["web"]
    assert web.environment == {"B": "owns", "OWN": "own"}


def test_paths_are_absolute_and_home_is_the_users() -> None:
    text = """
services:
  web:
    image: a
    build: {context: app, additional_contexts: {x: ../y, z: "docker-image://q"}}
    volumes: ["~/d:/d", ".:/e", 'data:/f', '/g/..:/g']
    develop: {watch: [{path: src, action: rebuild}]}
    secrets: [s]
secrets: {s: {file: ./s.txt}}
volumes:
  data: {driver: local, driver_opts: {o: bind, device: ./data}}
"""
    project = load(text)
    web = project.services["web"]
    assert [m.source for m in web.volumes] == ["/home/me/d", "/stack", "data", "/g/.."]
    assert web.build.context == "/stack/app"
    assert web.build.additional_contexts == {"x": "/y", "z": "docker-image://q"}
    assert web.develop.watch[0].path == "/stack/src"
    assert project.secrets["s"].file == "/stack/s.txt"
    assert project.volumes["data"].driver_opts["device"] == "/stack/data"
