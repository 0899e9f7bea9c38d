from tests.stackr.load.memory import load, problems


def test_a_service_builds_on_another_of_its_file() -> None:
    text = """
services:
  base: {image: a, environment: {A: 1, B: 2}, ports: ["80:80"]}
  web: {extends: base, environment: [B=3]}
  more: {extends: {service: web}, user: me}
"""
    services = load(text).services
    assert services["web"].environment == {"A": "1", "B": "3"} and services["web"].image == "a"
    assert services["more"].user == "me" and len(services["more"].ports) == 1
    assert services["base"].environment["B"] == "2" and services["web"].extends is None


def test_paths_of_another_file_are_relative_to_it() -> None:
    texts = {
        "compose.yaml": "services: {web: {extends: {file: sub/base.yaml, service: web}}}",
        "sub/base.yaml": "services: {web: {extends: {file: deep/x.yaml, service: x}, "
        "volumes: ['./d:/d'], build: .}}",
        "sub/deep/x.yaml": "services: {x: {image: a, volumes: ['./e:/e'], env_file: e.env}}",
        "sub/deep/e.env": "A=1",
    }
    web = load(texts).services["web"]
    assert [m.source for m in web.volumes] == ["/stack/sub/deep/e", "/stack/sub/d"]
    assert web.build.context == "/stack/sub" and web.environment == {"A": "1"}


def test_reset_in_the_extending_service_drops_what_the_base_has() -> None:
    text = """
services:
  base: {image: a, volumes: [/a], command: b}
  web: {extends: base, volumes: !reset []}
"""
    assert load(text).services["web"].volumes == ()


def test_override_replaces_across_files_and_appends_in_one_file_as_compose_does() -> None:
    text = (
        "services: {base: {image: a, dns: [1.1.1.1]}, web: {extends: %s, dns: !override [2.2.2.2]}}"
    )
    same = load(text % "base").services["web"]
    texts = {
        "compose.yaml": text % "{file: b.yaml, service: base}",
        "b.yaml": "services: {base: {image: a, dns: [1.1.1.1]}}",
    }
    assert same.dns == ("1.1.1.1", "2.2.2.2")
    assert load(texts).services["web"].dns == ("2.2.2.2",)


def test_a_cycle_is_told_by_its_steps() -> None:
    text = """
services:
  a: {image: x, extends: b}
  b: {image: x, extends: a}
"""
    found = problems(text)
    assert found[0] == "compose.yaml:3:17: services.a.extends: cycle: a extends b extends a"


def test_a_missing_service_or_file_is_told_at_its_place() -> None:
    text = """
services:
  a: {image: x, extends: nope}
  b: {image: x, extends: {file: no.yaml, service: x}}
"""
    assert problems(text) == [
        "compose.yaml:3:17: services.a.extends: cannot extend 'nope': compose.yaml has no such "
        "service; it has: a, b",
        "compose.yaml:4:17: services.b.extends.file: cannot read /stack/no.yaml: no such file",
    ]


def test_extending_an_empty_service_changes_nothing() -> None:
    texts = {
        "compose.yaml": "services: {web: {image: a, extends: {file: b.yaml, service: e}}}",
        "b.yaml": "services: {e: }",
    }
    assert load(texts).services["web"].image == "a"
