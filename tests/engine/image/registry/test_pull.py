"""Pulls from a registry that is scripted: what is asked, what is kept, and what is refused."""

import gzip
import random
import threading
import time

import pytest
from stackr_engine.image.registry.access import Access
from stackr_engine.image.registry.credentials import Credentials
from stackr_engine.image.registry.errors import (
    Damaged,
    RateLimited,
    RegistryError,
    Unauthorized,
    Unreachable,
)
from stackr_engine.image.tarheader import BadArchive
from stackr_schemas.errors import NotFound

from tests.engine.image.archives import entry, folder, sha256, tar
from tests.engine.image.registry.conftest import Puller
from tests.engine.image.registry.server import Answer, FakeRegistry, Request, ranged

pytestmark = pytest.mark.requires("root")

BASE = tar(folder("etc"), entry("etc/base", b"base"))
APP = tar(folder("app"), entry("app/main", b"main"))
BIG = tar(entry("big", random.Random(1).randbytes(3 << 20)))


def name(registry: FakeRegistry, tag: str = "1") -> str:
    return f"{registry.host}/team/app:{tag}"


def test_layers_come_once_and_are_unpacked(user: Puller, registry: FakeRegistry) -> None:
    digest = registry.publish("app:1", BASE, APP, pack=gzip.compress)
    pulled = user.pull(name(registry))
    assert (pulled.digest, pulled.is_new) == (digest, True)
    assert user.files(name(registry)) == {"etc/base": b"base", "app/main": b"main"}
    assert not user.partial()
    registry.requests.clear()
    again = user.pull(name(registry))
    assert (again.digest, again.is_new, again.image.id) == (digest, False, pulled.image.id)
    assert [one.method for one in registry.requests] == ["GET", "HEAD"]


def test_a_moved_tag_brings_only_the_new_layer(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    old = user.pull(name(registry)).image
    registry.publish("app:1", BASE, APP)
    registry.requests.clear()
    new = user.pull(name(registry)).image
    assert registry.seen("GET", f"/blobs/{sha256(APP)}")
    assert not registry.seen("GET", f"/blobs/{sha256(BASE)}")
    assert user.store.get(old.id).names == ()
    assert user.store.get(new.id).names == (name(registry),)
    texts = {(news.digest, news.text) for news in user.news}
    assert (sha256(BASE), "Already exists") in texts


def test_a_name_that_was_given_to_another_image_is_pulled_again(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BASE)
    registry.publish("app:2", APP)
    wanted = user.pull(name(registry)).image
    user.pull(name(registry, "2"))
    user.store.tag(name(registry, "2"), name(registry))
    assert user.store.origin(name(registry)) is None
    assert user.pull(name(registry)).image.id == wanted.id
    assert user.store.get(name(registry)).id == wanted.id


def test_a_digest_is_pulled_once_and_never_asked_for_again(
    user: Puller, registry: FakeRegistry
) -> None:
    digest = registry.publish("app:1", BASE)
    reference = f"{registry.host}/team/app@{digest}"
    assert user.pull(reference).image.names == (reference,)
    registry.requests.clear()
    assert not user.pull(reference).is_new
    assert registry.requests == []


def test_from_an_index_the_platform_decides(user: Puller, registry: FakeRegistry) -> None:
    rows = []
    for architecture, content in (("amd64", BASE), ("s390x", APP)):
        row = registry.layout.manifest(content)
        rows.append({**row, "platform": {"os": "linux", "architecture": architecture}})
    registry.tags["1"] = registry.layout.index(*rows)["digest"]
    pulled = user.pull(name(registry), "linux/amd64")
    assert pulled.digest == registry.tags["1"]
    assert user.files(name(registry)) == {"etc/base": b"base"}
    with pytest.raises(BadArchive, match=r"team/app:1: .*no image for linux/arm64, only for .*s3"):
        user.pull(name(registry), "linux/arm64")


def test_a_download_that_breaks_off_goes_on_where_it_was(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BIG)
    registry.once("GET", f"/blobs/{sha256(BIG)}", Answer(200, BIG, cut=1 << 20))
    user.pull(name(registry))
    first, second = registry.seen("GET", f"/blobs/{sha256(BIG)}")
    assert "Range" not in first.headers
    begin = int(second.headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < begin <= len(BIG) - (1 << 20)
    assert user.files(name(registry))["big"] == BIG[512 : 512 + (3 << 20)]


def test_a_server_that_ignores_ranges_is_read_from_its_start(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BIG)
    registry.on("GET", f"/blobs/{sha256(BIG)}", lambda request: Answer(200, BIG))
    registry.once("GET", f"/blobs/{sha256(BIG)}", Answer(200, BIG, cut=1 << 20))
    user.pull(name(registry))
    assert "big" in user.files(name(registry))


def test_a_pull_that_failed_is_resumed_by_the_next(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BIG)
    path = f"/blobs/{sha256(BIG)}"
    registry.once("GET", path, Answer(200, BIG, cut=1 << 20), Answer(403))
    with pytest.raises(Unauthorized):
        user.pull(name(registry))
    [partial] = user.partial()
    have = partial.stat().st_size
    assert have > 1 << 20
    user.pull(name(registry))
    assert registry.seen("GET", path)[-1].headers["Range"] == f"bytes={have}-"
    assert not user.partial()


def test_damage_in_what_was_kept_costs_a_second_download_alone(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BIG)
    path = f"/blobs/{sha256(BIG)}"
    registry.once("GET", path, Answer(200, BIG, cut=1 << 20), Answer(403))
    with pytest.raises(Unauthorized):
        user.pull(name(registry))
    [partial] = user.partial()
    partial.write_bytes(bytes(partial.stat().st_size))
    user.pull(name(registry))
    assert user.files(name(registry))["big"] == BIG[512 : 512 + (3 << 20)]


def test_two_pulls_of_one_layer_download_it_once(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BIG)
    registry.publish("app:2", BIG, APP)

    def slowly(request: Request) -> Answer:
        time.sleep(0.3)
        return ranged(request, BIG)

    registry.on("GET", f"/blobs/{sha256(BIG)}", slowly)
    pulls = [threading.Thread(target=user.pull, args=(name(registry, tag),)) for tag in "12"]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join()
    assert len(registry.seen("GET", f"/blobs/{sha256(BIG)}")) == 1
    assert len(user.store.list()) == 2


def test_a_user_who_gives_up_does_not_stop_another(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BIG)
    is_asked, goes_on = threading.Event(), threading.Event()

    def held(request: Request) -> Answer:
        is_asked.set()
        goes_on.wait(10)
        return ranged(request, BIG)

    class GivenUp(Exception):
        pass

    def check() -> None:
        if is_asked.is_set():
            raise GivenUp

    registry.on("GET", f"/blobs/{sha256(BIG)}", held)
    found: list[BaseException] = []

    def give_up() -> None:
        try:
            user.store.pull(name(registry), Access({}, check), lambda news: None)
        except GivenUp as error:
            found.append(error)

    first = threading.Thread(target=give_up)
    first.start()
    second = threading.Thread(target=user.pull, args=(name(registry),))
    second.start()
    first.join(10)
    goes_on.set()
    second.join(10)
    assert len(found) == 1
    assert "big" in user.files(name(registry))


def test_another_digest_than_announced_is_refused(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    wrong = BASE[:-10] + b"0123456789"
    registry.on("GET", f"/blobs/{sha256(BASE)}", lambda request: Answer(200, wrong))
    with pytest.raises(Damaged, match=r"where sha256:.* was announced"):
        user.pull(name(registry))
    assert user.store.list() == []
    assert all(path.stat().st_size == 0 for path in user.partial())


def test_a_body_longer_than_announced_is_refused(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    registry.on("GET", f"/blobs/{sha256(BASE)}", lambda request: Answer(200, BASE + bytes(10)))
    with pytest.raises(Damaged):
        user.pull(name(registry))


def test_a_manifest_that_its_digest_does_not_fit_is_refused(
    user: Puller, registry: FakeRegistry
) -> None:
    digest = registry.publish("app:1", BASE)
    other = registry.publish("app:2", APP)
    text = registry.blob(other) or b""
    registry.on("GET", f"/manifests/{digest}", lambda request: Answer(200, text))
    with pytest.raises(Damaged, match="another manifest"):
        user.pull(f"{registry.host}/team/app@{digest}")


def test_a_manifest_without_end_is_refused(user: Puller, registry: FakeRegistry) -> None:
    registry.on("GET", "/manifests/", lambda request: Answer(200, bytes(5 << 20)))
    with pytest.raises(Damaged, match="more than"):
        user.pull(name(registry))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"[" * 100_000, b'{"schemaVersion": 1}'])
def test_what_is_no_manifest_is_refused(user: Puller, registry: FakeRegistry, text: bytes) -> None:
    registry.on("GET", "/manifests/", lambda request: Answer(200, text))
    with pytest.raises(BadArchive, match="team/app:1"):
        user.pull(name(registry))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://10.9.9.9/x"])
def test_redirects_out_of_http_or_to_unlisted_hosts_are_not_followed(
    user: Puller, registry: FakeRegistry, target: str
) -> None:
    registry.publish("app:1", BASE)
    answer = Answer(307, b"", {"Location": target})
    registry.on("GET", f"/blobs/{sha256(BASE)}", lambda request: answer)
    with pytest.raises(RegistryError, match=r"not followed|without TLS"):
        user.pull(name(registry))


def test_redirects_without_end_are_an_error(user: Puller, registry: FakeRegistry) -> None:
    answer = Answer(307, b"", {"Location": "/v2/team/app/manifests/1"})
    registry.on("GET", "/manifests/1", lambda request: answer)
    with pytest.raises(RegistryError, match="without end"):
        user.pull(name(registry))


def test_a_redirected_download_does_not_take_the_password_along(
    user: Puller, registry: FakeRegistry, second: FakeRegistry
) -> None:
    registry.publish("app:1", BASE)
    path = f"/blobs/{sha256(BASE)}"
    second.on("GET", "/cdn", lambda request: Answer(200, BASE))
    answer = Answer(307, b"", {"Location": f"http://{second.host}/cdn"})

    def challenge(request: Request) -> Answer | None:
        known = request.headers.get("Authorization")
        return None if known else Answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})

    registry.on("GET", path, lambda request: answer)
    registry.on("GET", "/(manifests|blobs)/", challenge)
    user.access().config.store(registry.host, Credentials("me", "secret"))
    user.pull(name(registry))
    assert "Authorization" in registry.seen("GET", path)[0].headers
    [asked] = second.seen("GET", "/cdn")
    assert "Authorization" not in asked.headers


def test_what_passes_is_tried_again(user: Puller, registry: FakeRegistry) -> None:
    registry.publish("app:1", BASE)
    registry.once("GET", "/manifests/", Answer(503), Answer(502))
    began = time.monotonic()
    user.pull(name(registry))
    assert time.monotonic() - began > 0.5
    assert len(registry.seen("GET", "/manifests/")) == 3


def test_a_rate_limit_is_waited_for_if_it_says_how_long(
    user: Puller, registry: FakeRegistry
) -> None:
    registry.publish("app:1", BASE)
    registry.once("GET", "/manifests/", Answer(429, headers={"Retry-After": "1"}))
    began = time.monotonic()
    user.pull(name(registry))
    assert time.monotonic() - began > 0.7


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3600"}])
def test_a_long_rate_limit_is_told_at_once(
    user: Puller, registry: FakeRegistry, headers: dict[str, str]
) -> None:
    said = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}'
    registry.on("GET", "/manifests/", lambda request: Answer(429, said, headers))
    with pytest.raises(RateLimited, match=r"pull rate limit.*stackr login") as error:
        user.pull(name(registry))
    assert ("3600" in str(error.value)) == bool(headers)
    assert len(registry.seen("GET", "/manifests/")) == 1


def test_what_is_not_there_is_not_found(user: Puller, registry: FakeRegistry) -> None:
    with pytest.raises(NotFound, match=r"team/app:1 is not in the registry .*manifest unknown"):
        user.pull(name(registry))


def test_nobody_listening_is_told_with_the_next_step(user: Puller) -> None:
    with pytest.raises(Unreachable, match=r"cannot reach 127.0.0.1:1: Connection refused"):
        user.pull("127.0.0.1:1/x")
