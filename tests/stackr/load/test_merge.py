import pytest

from tests.stackr.load.memory import load, problems


def merged(base: str, over: str) -> object:
    texts = {
        f"{name}.yaml": "services:\n  web:\n    image: app\n"
        + "".join(f"    {line}\n" for line in text.splitlines())
        for name, text in (("base", base), ("over", over))
    }
    return load(texts, files=("base.yaml", "over.yaml")).services["web"]


@pytest.mark.parametrize(
    ("key", "base", "over", "result"),
    [
        ("user", "user: a", "user: b", "b"),
        ("command", "command: a b", "command: [c]", ("c",)),
        ("entrypoint", "entrypoint: [a]", "entrypoint: b", ("b",)),
        ("environment", "environment: {A: 1, B: 2}", "environment: [B=3, C=4]",
         {"A": "1", "B": "3", "C": "4"}),
        ("labels", "labels: [a=1]", "labels: {a: 2, b: }", {"a": "2", "b": ""}),
        ("dns", "dns: 1.1.1.1", "dns: [2.2.2.2, 1.1.1.1]", ("1.1.1.1", "2.2.2.2")),
        ("cap_add", "cap_add: [A]", "cap_add: [B, A]", ("A", "B")),
        ("tmpfs", "tmpfs: /a", "tmpfs: [/b]", ("/a", "/b")),
        ("expose", "expose: [80]", "expose: ['81', 80]", ("80", "81")),
        ("profiles", "profiles: []", "profiles: []", ()),
        ("sysctls", "sysctls: {a: 1}", "sysctls: [a=2]", {"a": "2"}),
        ("extra_hosts", "extra_hosts: [a=1.1.1.1]", "extra_hosts: {a: 2.2.2.2}",
         {"a": ("1.1.1.1", "2.2.2.2")}),
    ],
)  # fmt: skip
def test_a_later_file_changes_a_key(key: str, base: str, over: str, result: object) -> None:
    assert getattr(merged(base, over), key) == result


def test_ports_append_and_the_same_port_is_one() -> None:
    service = merged("ports: ['80-81:80-81']", "ports: ['81:81', {target: 82, published: 82}]")
    assert [port.target for port in service.ports] == [80, 81, 82]


def test_a_mount_replaces_that_of_the_same_target() -> None:
    service = merged("volumes: ['./a:/x', '/y']", "volumes: ['./b:/x:ro']")
    assert [(m.source, m.target, m.read_only) for m in service.volumes] == [
        ("/stack/b", "/x", True),
        ("", "/y", False),
    ]


def test_health_checks_merge_but_for_their_test() -> None:
    service = merged(
        "healthcheck: {test: [CMD, a], interval: 5s}", "healthcheck: {test: b, retries: 2}"
    )
    assert service.healthcheck.test == ("CMD-SHELL", "b")
    assert (service.healthcheck.interval, service.healthcheck.retries) == (5 * 10**9, 2)


def test_log_options_merge_only_for_the_same_driver() -> None:
    base = "logging: {driver: a, options: {x: 1}}"
    same = merged(base, "logging: {options: {y: 2}}").logging
    other = merged(base, "logging: {driver: b, options: {y: 2}}").logging
    assert same.options == {"x": "1", "y": "2"} and other.options == {"y": "2"}


def test_networks_and_dependencies_merge_by_name() -> None:
    texts = {
        "base.yaml": "services: {web: {image: a, networks: [n], depends_on: [db]}, "
        "db: {image: b}, kv: {image: c}}\nnetworks: {n: , m: }",
        "over.yaml": "services: {web: {networks: {n: {aliases: [x]}, m: }, "
        "depends_on: {kv: {condition: service_healthy}}}}",
    }
    web = load(texts, files=("base.yaml", "over.yaml")).services["web"]
    assert set(web.networks) == {"n", "m"} and web.networks["n"].aliases == ("x",)
    assert {name: item.condition for name, item in web.depends_on.items()} == {
        "db": "service_started",
        "kv": "service_healthy",
    }


def test_ulimits_and_build_strings_are_replaced_and_completed() -> None:
    service = merged(
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}\nbuild: ./a",
        "ulimits: {nofile: 9}\nbuild: {args: {A: 1}}",
    )
    assert service.ulimits["nofile"].limits == (9, 9) and service.ulimits["nproc"].limits == (3, 3)
    assert service.build.context == "/stack/a" and service.build.args == {"A": "1"}


def test_address_pools_merge_by_subnet_and_unnamed_ones_are_lost_as_in_compose() -> None:
    network = "networks: {default: {ipam: {config: [%s]}}}\nservices: {web: {image: a}}"
    texts = {
        "a.yaml": network % "{subnet: 10.0.0.0/24, ip_range: 10.0.0.0/28}",
        "b.yaml": network % "{subnet: 10.1.0.0/24}, {subnet: 10.0.0.0/24, gateway: 10.0.0.9}",
    }
    pools = load(texts, files=("a.yaml", "b.yaml")).networks["default"].ipam.config
    assert [(p.subnet, p.gateway, p.ip_range) for p in pools] == [
        ("10.1.0.0/24", "", ""),
        ("10.0.0.0/24", "10.0.0.9", "10.0.0.0/28"),
    ]


def test_reset_drops_and_override_replaces_what_an_earlier_file_has() -> None:
    base = "ports: ['80:80']\nenvironment: {A: 1, B: 2}\nbuild: {context: ., args: {A: 1}}"
    over = "ports: !override ['81:81']\nenvironment: {A: !reset }\nbuild: {args: !reset {}}"
    service = merged(base, over)
    assert [port.target for port in service.ports] == [81]
    assert service.environment == {"B": "2"} and service.build.args == {}


def test_reset_drops_a_whole_service_and_a_scalar() -> None:
    texts = {
        "a.yaml": "services: {web: {image: a, user: me}, db: {image: b}}",
        "b.yaml": "services: {web: {user: !reset null}, db: !reset }",
    }
    project = load(texts, files=("a.yaml", "b.yaml"))
    assert list(project.services) == ["web"] and project.services["web"].user == ""


def test_documents_of_one_file_merge_like_files() -> None:
    text = "services: {web: {image: a}}\n---\nservices: {web: {user: me}}"
    assert load(text).services["web"].user == "me"


def test_what_cannot_be_merged_is_told_with_its_place() -> None:
    texts = {
        "a.yaml": "services: {web: {image: a, volumes: [/a]}}",
        "b.yaml": "services:\n  web:\n    volumes: {a: b}\n",
    }
    assert problems(texts, files=("a.yaml", "b.yaml"))[0].startswith(
        "b.yaml:3:14: services.web.volumes: cannot merge"
    )


def test_an_extension_is_replaced_as_a_whole() -> None:
    texts = {"a.yaml": "x-a: {b: 1}\nservices: {}", "b.yaml": "x-a: {c: 2}"}
    assert load(texts, files=("a.yaml", "b.yaml")).extensions == {"x-a": {"c": 2}}
