"""What is implied, and what contradicts itself."""

import pytest

from tests.stackr.load.memory import load, problems, service


def test_the_default_network_is_there_only_when_it_is_used() -> None:
    project = load("services: {web: {image: a}}")
    assert project.networks["default"].name == "stack_default"
    assert list(project.services["web"].networks) == ["default"]
    text = "services: {web: {image: a, networks: [n]}}\nnetworks: {n: }"
    assert list(load(text).networks) == ["n"]
    assert load("services: {web: {image: a, network_mode: none}}").networks == {}


def test_names_of_resources_have_the_project_unless_they_are_external() -> None:
    text = """
services: {web: {image: a, volumes: ["vo:/v", "ex:/e", "na:/n"]}}
volumes: {vo: , ex: {external: true}, na: {name: given}}
"""
    assert {k: v.name for k, v in load(text).volumes.items()} == {
        "vo": "stack_vo",
        "ex": "ex",
        "na": "given",
    }


def test_the_old_form_of_external_is_warned_of() -> None:
    text = "services: {web: {image: a, volumes: ['vo:/v']}}\nvolumes: {vo: {external: {name: x}}}"
    project = load(text)
    assert project.volumes["vo"].external and project.volumes["vo"].name == "x"
    assert "external.name is deprecated" in project.warnings[0]


def test_dependencies_are_implied_by_what_services_share() -> None:
    text = """
services:
  web:
    image: a
    links: ["db:x"]
    network_mode: "service:net"
    volumes_from: ["vol:ro", "container:c"]
  db: {image: a}
  net: {image: a}
  vol: {image: a}
"""
    found = load(text).services["web"].depends_on
    assert {k: (v.restart, v.required) for k, v in found.items()} == {
        "db": (True, True),
        "net": (True, True),
        "vol": (False, True),
    }


def test_builds_and_secrets_have_defaults() -> None:
    text = """
services: {web: {build: {args: {A: , B: 1}}, secrets: [s, {source: s, target: t}]}}
secrets: {s: {environment: S}}
"""
    web = load(text, environment={"A": "x", "S": "v"}).services["web"]
    assert (web.build.context, web.build.dockerfile) == ("/stack", "Dockerfile")
    assert web.build.args == {"A": "x", "B": "1"}
    assert [secret.target for secret in web.secrets] == ["/run/secrets/s", "t"]


def test_variables_without_a_value_are_passed_on_or_left_out() -> None:
    web = service("environment: [A, B, C=]", environment={"A": "x"})
    assert web.environment == {"A": "x", "C": ""}


def test_values_are_typed_once() -> None:
    web = service(
        "mem_limit: 64m\nstop_grace_period: 1m30s\ncpus: '0.5'\nexpose: [80]\ninit: 'yes'\n"
        "ulimits: {nofile: 9}\nhealthcheck: {test: ok, retries: '3', interval: 5s}\n"
        "configs: [{source: c, mode: 0440}]",
        top="configs: {c: {content: x}}\n",
    )
    assert (web.mem_limit, web.stop_grace_period, web.cpus) == (64 << 20, 90 * 10**9, 0.5)
    assert web.expose == ("80",) and web.init is True and web.ulimits["nofile"].limits == (9, 9)
    assert web.healthcheck.retries == 3 and web.configs[0].mode == 0o440


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("user: x\nimage: !reset ", "services.web: has neither an image nor a build context"),
        ("networks: [n]", "services.web.networks.n: undefined network n; add it to the top-level"),
        ("volumes: ['vo:/v']", "services.web.volumes[0]: undefined volume vo; add it"),
        ("secrets: [s]", "services.web.secrets[0]: undefined secret s"),
        ("configs: [c]", "services.web.configs[0]: undefined config c"),
        ("models: [m]", "services.web.models.m: undefined model m"),
        ("depends_on: [db]", "services.web.depends_on.db: depends on undefined service db"),
        ("depends_on: [web]", "services.web.depends_on.web: cycle: web -> web"),
        ("network_mode: host\nnetworks: {default: }", "network_mode and networks exclude"),
        ("scale: 2\ncontainer_name: one", "services.web.scale: more than one container cannot"),
        ("scale: 2\ndeploy: {replicas: 3}", "services.web.scale: differs from deploy.replicas"),
        ("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}", "mem_limit: differs from"),
        ("healthcheck: {test: [curl]}", "healthcheck.test: must start with one of CMD"),
        ("build: {context: ., dockerfile: a, dockerfile_inline: b}", "exclude each other"),
        ("platform: a/b\nbuild: {context: ., platforms: [c/d]}", "must have the service's"),
        ("develop: {watch: [{path: a, action: sync}]}", "the action sync needs a target"),
        ("build: {context: ., secrets: [s]}", "services.web.build.secrets[0]: undefined secret s"),
    ],
)  # fmt: skip
def test_contradictions_are_told(keys: str, message: str) -> None:
    image = "" if "image:" in keys else "    image: app\n"
    lines = "".join(f"    {line}\n" for line in keys.splitlines())
    found = problems(f"services:\n  web:\n{image}{lines}")
    assert any(message in problem for problem in found), found
    assert all(problem.startswith("compose.yaml:") for problem in found)


def test_a_longer_cycle_is_told_by_its_steps() -> None:
    text = """
services:
  a: {image: x, depends_on: [b]}
  b: {image: x, depends_on: [c]}
  c: {image: x, depends_on: [b]}
"""
    assert problems(text) == ["compose.yaml:5:30: services.c.depends_on.b: cycle: b -> c -> b"]


def test_one_container_name_for_two_services_is_refused() -> None:
    text = "services: {a: {image: x, container_name: one}, b: {image: x, container_name: one}}"
    assert problems(text)[0].endswith("services.b.container_name: 'one' is already the name of a")


def test_checks_can_be_skipped() -> None:
    assert load("services: {web: {depends_on: [db]}}", check_consistency=False)


def test_a_disabled_service_is_not_checked() -> None:
    assert load("services: {web: {image: a}, d: {profiles: [x], depends_on: [nope]}}").disabled
