"""The way to a registry: proxies, mirrors, insecure ones, the configuration file."""

from urllib.parse import urlsplit

import pytest
from stackr_engine.image.registry.errors import RegistryError
from stackr_engine.image.registry.proxy import proxy_for
from stackr_engine.image.registry.settings import is_loopback
from stackr_schemas.errors import NotFound, StackrError

from tests.engine.image.archives import entry, tar
from tests.engine.image.registry.conftest import Puller
from tests.engine.image.registry.server import Answer, FakeRegistry

BASE = tar(entry("base", b"base"))
PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "exceptions", "is_direct"),
    [
        ("https://a.example/x", "", False),
        ("https://127.0.0.1:5000/x", "", True),
        ("https://localhost/x", "", True),
        ("https://a.example/x", "*", True),
        ("https://a.example/x", "b.example, a.example", True),
        ("https://sub.a.example/x", "a.example", True),
        ("https://nota.example/x", "a.example", False),
        ("https://a.example/x", ".a.example", False),
        ("https://sub.a.example/x", ".a.example", True),
        ("https://a.example:5000/x", "a.example:443", False),
        ("https://a.example/x", "a.example:443", True),
        ("https://10.1.2.3/x", "10.0.0.0/8", True),
        ("https://11.1.2.3/x", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_is_read_as_go_programs_read_it(
    url: str, exceptions: str, is_direct: bool
) -> None:
    environment = {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}
    assert proxy_for(url, environment) == ("" if is_direct else PROXY)


def test_the_scheme_decides_on_the_proxy() -> None:
    assert proxy_for("http://a/x", {"HTTPS_PROXY": PROXY}) == ""
    assert proxy_for("http://a/x", {"http_proxy": "proxy:1"}) == "http://proxy:1"
    with pytest.raises(StackrError, match="socks5 proxies are not supported"):
        proxy_for("https://a/x", {"HTTPS_PROXY": "socks5://p:1"})


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.9.9.9:1", "[::1]:5000"])
def test_loopback_is_known_by_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "10.0.0.1", "docker.io", "[::2]:1"])
def test_what_is_not_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.requires("root")
def test_a_mirror_is_asked_first_and_the_registry_if_it_fails(
    user: Puller, registry: FakeRegistry, second: FakeRegistry
) -> None:
    registry.publish("app:1", BASE)
    user.settings(f'[registry."{registry.host}"]\nmirrors = ["http://{second.host}"]\n')
    user.pull(f"{registry.host}/team/app:1")
    assert second.seen("GET", "/v2/team/app/manifests/1")
    assert registry.seen("GET", "/v2/team/app/manifests/1")
    second.publish("app:2", BASE)
    registry.requests.clear()
    user.pull(f"{registry.host}/team/app:2")
    assert registry.requests == []


@pytest.mark.requires("root")
def test_a_hub_mirror_is_asked_for_the_whole_name(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:latest", BASE)
    user.settings(f'[registry."docker.io"]\nmirrors = ["http://{registry.host}"]\n')
    assert user.pull("busybox").image.names == ("docker.io/library/busybox:latest",)
    assert registry.seen("GET", "/v2/library/busybox/manifests/latest")


def test_plain_http_is_for_loopback_and_listed_hosts(user: Puller) -> None:
    user.settings('[registry."docker.io"]\nmirrors = []\n')
    with pytest.raises(RegistryError, match=r"without TLS.*insecure = true"):
        user.access().transport._check_plain(urlsplit("http://10.9.9.9:5000/v2/"))
    user.settings('[registry."10.9.9.9:5000"]\ninsecure = true\n')
    user.access().transport._check_plain(urlsplit("http://10.9.9.9:5000/v2/"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry = 1", "registry"),
        ('[registry."a"]\nmirror = []', "mirror"),
        ("[", "registries.toml"),
    ],
)
def test_a_wrong_file_is_named(user: Puller, text: str, message: str) -> None:
    user.settings(text)
    with pytest.raises(StackrError, match=message):
        user.pull("a/b")


@pytest.mark.requires("root")
def test_a_push_sends_what_is_missing_and_the_manifest_last(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BASE)
    user.pull(f"{registry.host}/team/app:1")
    user.store.tag(f"{registry.host}/team/app:1", f"{registry.host}/new/app:2")
    registry.on("HEAD", "/v2/new/", lambda request: Answer(404))
    place = {"Location": "/upload/1?state=x"}
    registry.on("POST", "/v2/new/app/blobs/uploads/", lambda request: Answer(202, b"", place))
    registry.on("PUT", "/", lambda request: Answer(201))
    registry.requests.clear()
    digest = user.push(f"{registry.host}/new/app:2")
    puts = registry.seen("PUT", "/")
    assert [one.path.partition("?")[0] for one in puts] == [
        *("/upload/1", "/upload/1", "/v2/new/app/manifests/2")
    ]
    assert puts[0].body == BASE
    assert puts[2].body == registry.blob(digest)
    assert "from=team%2Fapp" in registry.seen("POST", "/uploads/")[0].path


@pytest.mark.requires("root")
def test_a_name_that_is_not_in_the_store_is_not_pushed(
    user: Puller, registry: FakeRegistry
) -> None:
    with pytest.raises(NotFound):
        user.push(f"{registry.host}/x:1")
    assert registry.requests == []
