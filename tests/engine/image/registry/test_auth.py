"""Who is told what: challenges, tokens, Docker's config file, helpers, logging in."""

import base64
import json
import stat
from pathlib import Path

import pytest
from stackr_engine.image.registry.challenge import Challenge, parse_challenges
from stackr_engine.image.registry.credentials import Credentials, DockerConfig
from stackr_engine.image.registry.errors import RegistryError, Unauthorized
from stackr_engine.image.registry.login import check_login
from stackr_schemas.errors import StackrError

from tests.engine.image.archives import entry, tar
from tests.engine.image.registry.conftest import Puller
from tests.engine.image.registry.server import Answer, FakeRegistry, Request

BASE = tar(entry("base", b"base"))
ME = Credentials("me", "se:cret")
HELPER = """#!/bin/sh
read server
echo "$1 $server" >> "$HOME/asked"
case $server in
{*) ;;
known*) echo '{"ServerURL": "x", "Username": "helped", "Secret": "by helper"}' ;;
token*) echo '{"ServerURL": "x", "Username": "<token>", "Secret": "identity"}' ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", []),
        ('Basic realm="a b"', [Challenge("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"},
                )
            ],
        ),
        (
            r'Negotiate, Basic realm="q\"q", Bearer realm=x',
            [
                Challenge("negotiate"),
                Challenge("basic", {"realm": 'q"q'}),
                Challenge("bearer", {"realm": "x"}),
            ],
        ),
        ("=,=", []),
    ],
)
def test_challenges_are_read(header: str, wanted: list[Challenge]) -> None:
    assert parse_challenges(header) == wanted


def guarded(registry: FakeRegistry, *, accepts: str = "") -> None:
    """Ask for a token everywhere; the token server wants that Authorization, if any."""
    realm = f'Bearer realm="http://{registry.host}/token",service="here"'

    def challenge(request: Request) -> Answer | None:
        if request.headers.get("Authorization") == "Bearer good":
            return None
        return Answer(401, b"", {"WWW-Authenticate": realm})

    def token(request: Request) -> Answer:
        if accepts and request.headers.get("Authorization") != accepts:
            return Answer(401)
        return Answer(200, b'{"token": "good"}')

    registry.on("GET", "/v2/", challenge)
    registry.on("GET", "/token", token)


@pytest.mark.requires("root")
def test_a_token_is_fetched_once_without_an_account(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    guarded(registry)
    user.pull(f"{registry.host}/team/app:1")
    [asked] = registry.seen("GET", "/token")
    assert "scope=repository%3Ateam%2Fapp%3Apull" in asked.path
    assert "service=here" in asked.path
    assert "Authorization" not in asked.headers


@pytest.mark.requires("root")
def test_the_account_of_the_users_own_config_is_used(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    guarded(registry, accepts=ME.basic)
    with pytest.raises(Unauthorized, match=f"stackr login {registry.host}"):
        user.pull(f"{registry.host}/team/app:1")
    user.access().config.store(registry.host, Credentials("me", "wrong"))
    with pytest.raises(Unauthorized, match="does not accept the credentials of me"):
        user.pull(f"{registry.host}/team/app:1")
    user.access().config.store(registry.host, ME)
    user.pull(f"{registry.host}/team/app:1")


def test_credentials_are_checked_before_they_are_kept(user: Puller, registry: FakeRegistry) -> None:
    guarded(registry, accepts=ME.basic)
    check_login(user.access(), registry.host, ME)
    with pytest.raises(Unauthorized):
        check_login(user.access(), registry.host, Credentials("me", "wrong"))


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "http://10.9.9.9/token", ""])
def test_a_password_is_not_sent_just_anywhere(
    user: Puller, registry: FakeRegistry, realm: str
) -> None:
    header = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    registry.on("GET", "/v2/", lambda request: Answer(401, b"", header))
    with pytest.raises(RegistryError):
        check_login(user.access(), registry.host, ME)


@pytest.mark.requires("root")
def test_an_identity_token_is_exchanged(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    guarded(registry)
    registry.on("POST", "/token", lambda request: Answer(200, b'{"access_token": "good"}'))
    row = {"auth": base64.b64encode(b"me:").decode(), "identitytoken": "refresh"}
    config(user.home, {"auths": {registry.host: row}})
    user.pull(f"{registry.host}/team/app:1")
    [asked] = registry.seen("POST", "/token")
    assert b"grant_type=refresh_token" in asked.body
    assert b"refresh_token=refresh" in asked.body


def config(home: Path, tree: object) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps(tree))


def test_the_file_is_as_docker_writes_it(tmp_path: Path) -> None:
    config(tmp_path, {"HttpHeaders": {"a": "b"}})
    docker = DockerConfig({"HOME": str(tmp_path)})
    docker.store("docker.io", ME)
    docker.store("localhost:5000", ME)
    tree = json.loads(docker.path.read_text())
    auth = {"auth": base64.b64encode(b"me:se:cret").decode()}
    assert tree == {
        "HttpHeaders": {"a": "b"},
        "auths": {"https://index.docker.io/v1/": auth, "localhost:5000": auth},
    }
    assert stat.S_IMODE(docker.path.stat().st_mode) == 0o600
    assert docker.credentials("docker.io") == ME
    assert docker.credentials("localhost:5001") is None
    assert docker.erase("docker.io")
    assert not docker.erase("docker.io")
    assert docker.credentials("docker.io") is None
    assert docker.credentials("localhost:5000") == ME


def test_old_keys_with_urls_are_found(tmp_path: Path) -> None:
    row = {"auth": base64.b64encode(b"a:b").decode()}
    config(tmp_path, {"auths": {"https://reg.example/v1/": row}})
    assert DockerConfig({"HOME": str(tmp_path)}).credentials("reg.example") == Credentials("a", "b")


def test_docker_config_names_another_folder(tmp_path: Path) -> None:
    environment = {"HOME": "/nowhere", "DOCKER_CONFIG": str(tmp_path / "other")}
    DockerConfig(environment).store("r", ME)
    assert (tmp_path / "other/config.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"r": {"auth": "%%%"}}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(StackrError, match=r"config\.json"):
        DockerConfig({"DOCKER_CONFIG": str(tmp_path)}).credentials("r")


def test_helpers_are_asked_with_the_users_environment(tmp_path: Path) -> None:
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(0o755)
    config(tmp_path, {"credsStore": "test", "credHelpers": {"gone.example": "missing"}})
    environment = {"HOME": str(tmp_path), "PATH": f"{helper.parent}:/usr/bin:/bin"}
    docker = DockerConfig(environment)
    assert docker.credentials("known.example") == Credentials("helped", "by helper")
    assert docker.credentials("token.example") == Credentials("", "", "identity")
    assert docker.credentials("unknown.example") is None
    with pytest.raises(StackrError, match="no credential helper docker-credential-missing"):
        docker.credentials("gone.example")
    assert docker.store("known.example", ME) == "test"
    assert json.loads(docker.path.read_text())["auths"] == {"known.example": {}}
    assert (tmp_path / "asked").read_text().startswith("get known.example\n")
