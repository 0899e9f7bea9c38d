"""Mistakes are told at their place, all at once, with a next step."""

import pytest
from stackr_schemas.errors import Where

from stackr.load.problem import LoadError
from tests.stackr.load.memory import load, problems

STACK = """services:
  web:
    image: 5
    mem_limt: 64m
    ports:
      - "80:99999"
      - {target: 80, publshed: 8080}
    environment:
      A: [1]
  db:
    command: [sleep, 10]
    restart: {a: b}
netwroks: {}
"""


def test_all_mistakes_of_a_file_are_told_at_once_sorted() -> None:
    assert problems(STACK) == [
        "compose.yaml:3:5: services.web.image: must be a string",
        "compose.yaml:4:5: services.web.mem_limt: unknown key; did you mean mem_limit?",
        "compose.yaml:5:5: services.web.ports: invalid port '80:99999': '99999' is not a port or "
        "a range of ports",
        "compose.yaml:8:5: services.web.environment: the value must be a string, number, boolean "
        "or null",
        "compose.yaml:11:22: services.db.command[1]: must be a string",
        "compose.yaml:12:5: services.db.restart: must be a string",
        "compose.yaml:13:1: netwroks: unknown key; did you mean networks?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: []", "1:1: services: must be a mapping"),
        ("services: {web: }", "1:12: services.web: must be a mapping"),
        ("services: {'a b': {image: x}}", "1:12: services.a b: the name must match"),
        ("services: {w: {image: x, logging: }}", "1:26: services.w.logging: must be a mapping"),
        ("services: {w: {image: x, init: 1}}", "1:26: services.w.init: invalid boolean 1"),
        ("services: {w: {image: x, volumes: [{type: bnd, target: /a}]}}",
         "1:37: services.w.volumes[0].type: must be one of 'bind', 'volume'"),
        ("services: {w: {image: x, volumes: [{type: bind}]}}",
         "1:36: services.w.volumes[0].target: is missing"),
        ("services: {w: {image: x, healthcheck: {intervall: 1s}}}",
         "1:40: services.w.healthcheck.intervall: unknown key; did you mean interval?"),
        ("services: {w: {image: x, stop_grace_period: 10}}",
         "1:26: services.w.stop_grace_period: invalid duration 10: write it with a unit"),
        ("services: {w: {image: x, security_opt: [a, a]}}",
         "1:26: services.w.security_opt: 'a' is listed twice"),
        ("services: {w: {image: x, pull_policy: sometimes}}",
         "1:26: services.w.pull_policy: 'sometimes' does not match"),
        ("services: {w: {image: x}}\nvolumes: {v: {external: true, driver: a}}",
         "2:11: volumes.v: an external volume has only a name: remove driver"),
        ("services: {w: {image: x}}\nsecrets: {s: {file: a, environment: b}}",
         "2:11: secrets.s: file and environment exclude each other"),
        ("services: {w: {image: x}}\nconfigs: {c: {}}",
         "2:11: configs.c: one of file, environment, content must be set"),
        ("services: {w: {image: 2021-01-01}}", "1:16: services.w.image: must be a string"),
        ("services: {w: {image: x, labels: {a: 2021-01-01}}}",
         "1:26: services.w.labels: the value must be a string, number, boolean or null, not "
         "2021-01-01 (YAML reads it as a date; put it in quotes)"),
        ("name: 5\nservices: {w: {image: x}}", "1:1: name: must be a string"),
        ("version: 3.8\nservices: {w: {image: x}}", "1:1: version: must be a string"),
        ("include: x\nservices: {w: {image: x}}", "1:1: include: must be a list"),
        ("services: {w: {image: '${A'}}", "1:16: services.w.image: invalid interpolation '${A'"),
        ("a: b: c", "1:5: invalid YAML: mapping values are not allowed in this context"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(text: str, problem: str) -> None:
    found = problems(text)
    assert any(one.startswith(f"compose.yaml:{problem}") for one in found), found


def test_a_mistake_is_told_in_the_file_that_made_it() -> None:
    texts = {"a.yaml": "services: {web: {image: a}}", "b.yaml": "services:\n  web: {usr: b}\n"}
    assert problems(texts, files=("a.yaml", "b.yaml"))[0].startswith("b.yaml:2:9: services.web.usr")


def test_an_excerpt_points_at_the_mistake() -> None:
    with pytest.raises(LoadError) as caught:
        load("services:\n  web:\n    image: a\n    usr: b\n")
    assert caught.value.render(with_excerpts=True).splitlines() == [
        "compose.yaml:4:5: services.web.usr: unknown key; did you mean user?",
        "  3 |     image: a",
        "  4 |     usr: b",
        "    |     ^",
    ]
    assert caught.value.render(with_excerpts=False) == str(caught.value)
    assert "\x1b[31m^" in caught.value.render(with_excerpts=True, color=True)


def test_places_are_known_after_loading() -> None:
    project = load(
        "services:\n  web:\n    image: a\n    ports:\n      - '80-81:80-81'\n      - 90\n"
    )
    assert project.where("services.web.ports[2]") == Where("compose.yaml", 6, 9)
    assert project.where("services.web.ports[2].target") == Where("compose.yaml", 6, 9)
    assert project.where("services.web.nothing") == Where("compose.yaml", 2, 3)
    assert project.select(["web"]).where("services.web.image") == Where("compose.yaml", 3, 5)


def test_an_empty_file_is_told() -> None:
    with pytest.raises(LoadError, match=r"the stack file is empty; begin with `services:`"):
        load("# nothing\n")


def test_warnings_are_data() -> None:
    text = """version: '3'
services:
  web:
    image: a$X
    user: ${X}${Y}
    init: 'yes'
    command: a | b
"""
    assert load(text).warnings == (
        'compose.yaml:4:5: The "X" variable is not set. Defaulting to a blank string. For a '
        "dollar sign write $$.",
        'compose.yaml:5:5: The "Y" variable is not set. Defaulting to a blank string.',
        "compose.yaml: the attribute `version` is obsolete, it will be ignored, please remove it "
        "to avoid potential confusion",
        'compose.yaml:6:5: "yes" for boolean is not supported by YAML 1.2, please use `true`',
        "compose.yaml:7:5: command ends before '|': no shell runs it; write [sh, -c, '…']",
    )
