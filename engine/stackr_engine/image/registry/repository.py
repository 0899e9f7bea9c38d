"""One repository of one registry, by the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import hashlib
import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from stackr_schemas.errors import NotFound

from stackr_engine.image.manifest import OCI_INDEX, OCI_MANIFEST
from stackr_engine.image.reference import Reference
from stackr_engine.image.registry.auth import Authorizer
from stackr_engine.image.registry.errors import Damaged, RegistryError, refusal
from stackr_engine.image.registry.transport import (
    Ask,
    Response,
    Transport,
    chunks_of,
    read_some,
)

MAX_MANIFEST = 4 << 20
"""Bytes; registries take no larger ones."""
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, _DOCKER_LIST, _DOCKER_MANIFEST))
_MAX_RENEWALS = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest or an index as it came."""

    text: bytes
    digest: str


class Repository:
    """Manifests by tag or digest, and blobs by digest."""

    def __init__(
        self,
        transport: Transport,
        base: Callable[[], str],
        authorizer: Authorizer,
        reference: Reference,
    ):
        self._transport = transport
        self._base = base
        self._authorizer = authorizer
        self._what = reference.familiar
        self._name = reference.repository

    @property
    def host(self) -> str:
        """The host that is spoken to."""
        return urlsplit(self._base()).netloc

    def manifest_digest(self, tag: str) -> str:
        """Return the digest that a tag has now, or nothing if the registry does not say."""
        response = self._ask(Ask("HEAD", self._url(f"manifests/{tag}"), {"Accept": _ACCEPT}))
        read_some(response)
        return response.headers.get("Docker-Content-Digest", "")

    def manifest(self, reference: str) -> Fetched:
        """Return a manifest or index by tag or digest, checked against the digest."""
        response = self._ask(Ask("GET", self._url(f"manifests/{reference}"), {"Accept": _ACCEPT}))
        text = self._read(response, MAX_MANIFEST)
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        announced = response.headers.get("Docker-Content-Digest", digest)
        wanted = reference if reference.startswith("sha256:") else digest
        if digest != wanted or (announced.startswith("sha256:") and announced != digest):
            raise Damaged(f"{self.host} sent another manifest of {self._what} than it announced")
        return Fetched(text, digest)

    def document(self, digest: str, size: int) -> bytes:
        """Return a small blob of at most `size` bytes; the caller checks its digest."""
        return self._read(self._ask(Ask("GET", self._url(f"blobs/{digest}"))), size)

    def blob(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """Give a blob's bytes from an offset on; Unreachable where they break off."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self._ask(Ask("GET", self._url(f"blobs/{digest}"), headers), (200, 206))
        begins = _begin_of(response)
        if begins > offset:
            response.close()
            raise RegistryError(f"{self.host} sent another part of a layer than was asked for")
        skip = offset - begins
        for chunk in chunks_of(response, self.host):
            if skip < len(chunk):
                yield chunk[skip:] if skip else chunk
            skip = max(0, skip - len(chunk))

    def has_blob(self, digest: str) -> bool:
        """Tell whether the registry has a blob in this repository."""
        return self._has(f"blobs/{digest}")

    def mount(self, digest: str, source: str = "") -> str:
        """Take a blob over from another repository; return nothing, or where to upload it."""
        query = f"?{urlencode({'mount': digest, 'from': source})}" if source else ""
        ask = Ask("POST", self._url(f"blobs/uploads/{query}"), {"Content-Length": "0"}, b"")
        response = self._ask(ask, (201, 202))
        read_some(response)
        if response.status == 201:
            return ""
        location = response.headers.get("Location", "")
        if not location:
            raise RegistryError(f"{self.host} does not say where to upload to")
        return urljoin(ask.url, location)

    def upload(self, url: str, digest: str, size: int, body: Callable[[], BinaryIO]) -> None:
        """Send a blob in one piece to where `mount` said."""
        sign = "&" if "?" in url else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        ask = Ask("PUT", f"{url}{sign}{urlencode({'digest': digest})}", headers, body)
        read_some(self._ask(ask, (201, 204), attempts=1))

    def has_manifest(self, digest: str) -> bool:
        """Tell whether the registry has a manifest in this repository."""
        return self._has(f"manifests/{digest}")

    def put_manifest(self, reference: str, text: bytes, media_type: str) -> None:
        """Store a manifest under a tag or its digest."""
        ask = Ask("PUT", self._url(f"manifests/{reference}"), {"Content-Type": media_type}, text)
        read_some(self._ask(ask, (200, 201, 202)))

    def _url(self, path: str) -> str:
        return f"{self._base()}/v2/{self._name}/{path}"

    def _has(self, path: str) -> bool:
        try:
            read_some(self._ask(Ask("HEAD", self._url(path), {"Accept": _ACCEPT})))
        except NotFound:
            return False
        return True

    def _ask(self, ask: Ask, good: tuple[int, ...] = (200,), attempts: int = 5) -> Response:
        """Send with authorization; raise what the answer means if it is not a good one."""
        for renewals in range(_MAX_RENEWALS + 1):
            used = self._authorizer.value if _same_host(ask.url, self._base()) else ""
            headers = {**ask.headers, **({"Authorization": used} if used else {})}
            response = self._transport.send(Ask(ask.method, ask.url, headers, ask.body), attempts)
            if response.status in good:
                return response
            body = read_some(response)
            header = response.headers.get("WWW-Authenticate", "")
            if response.status != 401 or not header or renewals == _MAX_RENEWALS:
                break
            if not self._authorizer.renew(used, header, ask.url):
                break
        is_known = self._authorizer.is_known
        raise refusal(response.status, body, self._what, self.host, is_known=is_known)

    def _read(self, response: Response, limit: int) -> bytes:
        data = bytearray()
        for chunk in chunks_of(response, self.host):
            data += chunk
            if len(data) > limit:
                response.close()
                raise Damaged(f"{self.host} sent more than {limit} bytes of a document")
        return bytes(data)


def _begin_of(response: Response) -> int:
    """Return the offset at which an answer begins (RFC 9110, section 14.4)."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.strip().isdigit() else 1 << 62


def _same_host(url: str, base: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(base)[:2]
