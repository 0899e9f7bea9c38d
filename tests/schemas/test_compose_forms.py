import pytest
from stackr_schemas.compose.command import split_command
from stackr_schemas.compose.forms import hosts, pairs, text_pairs
from stackr_schemas.compose.mount import device, parse_mount
from stackr_schemas.compose.port import parse_port


def port(target: int, published: str = "", protocol: str = "tcp", host_ip: str = "") -> dict:
    found = {"mode": "ingress", "protocol": protocol, "target": target}
    found |= {"published": published} if published else {}
    return found | ({"host_ip": host_ip} if host_ip else {})


@pytest.mark.parametrize(
    ("spec", "ports"),
    [
        ("80", [port(80)]),
        ("8080:80", [port(80, "8080")]),
        ("8080:80/UDP", [port(80, "8080", "udp")]),
        ("127.0.0.1:8080:80", [port(80, "8080", host_ip="127.0.0.1")]),
        ("127.0.0.1::80", [port(80, host_ip="127.0.0.1")]),
        ("[::1]:8080:80", [port(80, "8080", host_ip="::1")]),
        ("8080-8081:80-81", [port(80, "8080"), port(81, "8081")]),
        ("8080-8090:80", [port(80, "8080-8090")]),
        ("9-11", [port(10), port(11), port(9)]),
    ],
)
def test_short_ports_become_long_ones(spec: str, ports: list[dict]) -> None:
    assert parse_port(spec) == ports


@pytest.mark.parametrize(
    "spec",
    [
        "",
        ":",
        "a",
        "80:70000",
        "1-3:1-2",
        "3-1",
        "80/icmp",
        "1.2.3:80:80",
        "::1:80:80",
        "80:80:80:80",
    ],
)
def test_other_ports_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_port(spec)


@pytest.mark.parametrize(
    ("spec", "mount"),
    [
        ("/data", {"type": "volume", "target": "/data", "volume": {}}),
        ("db:/data/", {"type": "volume", "source": "db", "target": "/data", "volume": {}}),
        (
            "./src:/app:ro,z,rslave",
            {
                "type": "bind",
                "source": "./src",
                "target": "/app",
                "read_only": True,
                "bind": {"selinux": "z", "propagation": "rslave", "create_host_path": True},
            },
        ),
        (
            "db:/data:nocopy",
            {"type": "volume", "source": "db", "target": "/data", "volume": {"nocopy": True}},
        ),
        (
            r"c:\a:/b",
            {
                "type": "bind",
                "source": r"c:\a",
                "target": "/b",
                "bind": {"create_host_path": True},
            },
        ),
        ("${A:-x}:/b", {"type": "volume", "source": "${A:-x}", "target": "/b", "volume": {}}),
    ],
)
def test_short_mounts_become_long_ones(spec: str, mount: dict) -> None:
    assert parse_mount(spec) == mount


@pytest.mark.parametrize("spec", ["", "ab::c", ":/a", "ab:/b:ro:xy:z", "~/x::ro"])
def test_other_mounts_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_mount(spec)


@pytest.mark.parametrize(
    ("line", "words", "rest"),
    [
        ("echo hello", ["echo", "hello"], ""),
        ("""sh -c "a 'b' c" 'd "e"'""", ["sh", "-c", "a 'b' c", 'd "e"'], ""),
        (r"a\ b \"c", ["a b", '"c'], ""),
        ('a ""', ["a", ""], ""),
        ("echo a && rm b", ["echo", "a"], "&& rm b"),
        ("a 2>b", ["a"], ">b"),
        ("echo $(date -u)", ["echo", "$(date -u)"], ""),
        ("", [], ""),
    ],
)
def test_commands_split_like_shell_words_until_an_operator(
    line: str, words: list[str], rest: str
) -> None:
    assert split_command(line) == (words, rest)


@pytest.mark.parametrize("line", ["'", '"a', "a\\", "f()", "a)", "`a"])
def test_open_quotes_and_stray_parentheses_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="invalid command line"):
        split_command(line)


def test_lists_and_mappings_of_variables_say_the_same() -> None:
    assert pairs(["A=1", "B", "C="]) == pairs({"A": 1, "B": None, "C": ""})
    assert text_pairs(["A"]) == {"A": ""}
    assert pairs({"A": True, "B": 1.0}) == {"A": "true", "B": "1"}
    for wrong in ("A=1", [1], {"A": []}):
        with pytest.raises(ValueError, match="must be"):
            pairs(wrong)


def test_hosts_take_colons_equal_signs_and_brackets() -> None:
    assert hosts(["a:1.2.3.4", "a=[::1]", "b:::1"]) == {"a": ("1.2.3.4", "::1"), "b": ("::1",)}
    assert hosts({"a": ["1.1.1.1", "2.2.2.2"]}) == {"a": ("1.1.1.1", "2.2.2.2")}
    with pytest.raises(ValueError, match="HOST=IP"):
        hosts(["nothing"])


def test_devices_default_to_the_same_path_and_all_permissions() -> None:
    assert device("/dev/a") == {"source": "/dev/a", "target": "/dev/a", "permissions": "rwm"}
    assert device("/dev/a:/dev/b:r") == {"source": "/dev/a", "target": "/dev/b", "permissions": "r"}
