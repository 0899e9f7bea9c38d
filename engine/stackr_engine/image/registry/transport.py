"""HTTP to registries: connections, proxies, TLS, redirects, and trying again."""

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3
from stackr_schemas.errors import StackrError
from urllib3.exceptions import HTTPError, InsecureRequestWarning, NewConnectionError, SSLError

from stackr_engine.image.registry.errors import Broken, RegistryError, Unreachable, rate_limit
from stackr_engine.image.registry.proxy import proxy_for
from stackr_engine.image.registry.settings import Settings

urllib3.disable_warnings(InsecureRequestWarning)  # the user has listed the registry as insecure
Response = urllib3.BaseHTTPResponse
Body = bytes | Callable[[], BinaryIO]

_ATTEMPTS = 5
_FEW = 3
"""Attempts where nobody answers at all: a machine without network should say so soon."""
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 20.0
"""Seconds; a registry that asks for more patience is an error."""
_MAX_REDIRECTS = 5
_PASSING = {408, 429, 500, 502, 503, 504}
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_CHUNK = 1 << 18
_MAX_SAID = 1 << 16
_NO_NETWORK = (
    "check the network, the name and HTTPS_PROXY; `stackr load ARCHIVE` brings images without one"
)


@dataclass(frozen=True)
class Ask:
    """One request; a body that is a function is opened anew at each attempt."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


class Transport:
    """Sends requests for one command, with its environment's proxies."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], check: Callable[[], None]
    ):
        self.settings = settings
        self._environment = environment
        self._check_user = check
        self._owner = threading.current_thread()
        self._pools: dict[tuple[str, ...], urllib3.PoolManager] = {}

    def send(self, ask: Ask, attempts: int = _ATTEMPTS) -> Response:
        """Send, follow redirects, and return the answer, whose body is not read yet.

        What passes is tried again, with longer and longer waits. Raises Unreachable, RateLimited,
        or RegistryError for what is not safe to follow.
        """
        for attempt in range(1, attempts + 1):
            try:
                response = self._follow(ask)
            except Unreachable as error:
                if attempt >= (attempts if error.may_pass else min(attempts, _FEW)):
                    raise
                self.wait(_FIRST_WAIT * 2 ** (attempt - 1))
                continue
            if response.status not in _PASSING:
                return response
            wait = _retry_after(response)
            if attempt == attempts or (wait or 0) > _LONGEST_WAIT or _is_final(response, wait):
                if response.status == 429:
                    raise rate_limit(urlsplit(ask.url).netloc, wait, read_some(response))
                return response
            response.close()
            self.wait(wait if wait is not None else _FIRST_WAIT * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def wait(self, seconds: float) -> None:
        """Sleep a little more or less than that, or until the user ends the command."""
        end = time.monotonic() + seconds * random.uniform(0.8, 1.2)
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, 0.1))

    def _check(self) -> None:
        """End with the user's command, but not in threads that work for other commands as well."""
        if threading.current_thread() is self._owner:
            self._check_user()

    def _follow(self, ask: Ask) -> Response:
        url, headers = ask.url, dict(ask.headers)
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._once(ask, url, headers)
            target = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not target:
                return response
            response.drain_conn()
            new = urljoin(url, target)
            self._check_redirect(url, new)
            if _origin(new) != _origin(url):
                headers.pop("Authorization", None)
            url = new
        raise RegistryError(f"{urlsplit(ask.url).netloc} redirects without end")

    def _check_redirect(self, old: str, new: str) -> None:
        was, now = urlsplit(old), urlsplit(new)
        if now.scheme not in ("http", "https") or (was.scheme, now.scheme) == ("https", "http"):
            raise RegistryError(
                f"{was.netloc} redirects to {now.scheme}://{now.netloc}, which is not followed",
                hint="the registry or a proxy before it is not what it should be",
            )

    def _once(self, ask: Ask, url: str, headers: Mapping[str, str]) -> Response:
        self._check()
        parts = urlsplit(url)
        self._check_plain(parts)
        body = ask.body() if callable(ask.body) else ask.body
        try:
            return self._pool(url, parts).urlopen(
                ask.method, url, body=body, headers={"User-Agent": "stackr", **headers},
                redirect=False, retries=False, preload_content=False, decode_content=False,
                timeout=_TIMEOUT,
            )  # fmt: skip
        except (HTTPError, OSError) as error:
            raise unreachable(error, parts.netloc) from error
        finally:
            if body is not None and not isinstance(body, bytes):
                body.close()

    def _check_plain(self, parts: SplitResult) -> None:
        if parts.scheme == "https":
            return
        if parts.scheme != "http" or not self.settings.allows_plain(parts.netloc):
            hint = f'if you trust the way to it, set `insecure = true` for "{parts.netloc}"'
            raise RegistryError(f"{parts.netloc} is not spoken to without TLS", hint=hint)

    def _pool(self, url: str, parts: SplitResult) -> urllib3.PoolManager:
        proxy = proxy_for(url, self._environment)
        known = self.settings.of(parts.netloc)
        key = (proxy, parts.scheme, parts.netloc if known.ca or known.insecure else "")
        if key not in self._pools:
            self._pools[key] = self._new_pool(proxy, parts)
        return self._pools[key]

    def _new_pool(self, proxy: str, parts: SplitResult) -> urllib3.PoolManager:
        known = self.settings.of(parts.netloc)
        if parts.scheme == "https":
            files = (known.ca, self._environment.get("SSL_CERT_FILE", ""))
            context = trust(known.insecure, *files)
        else:
            context = None
        if not proxy:
            return urllib3.PoolManager(maxsize=8, ssl_context=context)
        headers = None
        user = urlsplit(proxy)
        if user.username is not None:
            pair = f"{unquote(user.username)}:{unquote(user.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=pair)
        return urllib3.ProxyManager(proxy, maxsize=8, ssl_context=context, proxy_headers=headers)


@lru_cache(maxsize=16)
def trust(insecure: bool, *files: str) -> ssl.SSLContext:
    """Make a TLS context that trusts the system's authorities and the ones in these files."""
    context = ssl.create_default_context()
    for file in filter(None, files):
        try:
            context.load_verify_locations(file)
        except OSError as error:  # SSLError is one
            raise StackrError(f"certificates {file}: {error}") from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def unreachable(error: Exception, host: str) -> Unreachable:
    """Say why there was no answer."""
    reason = error.__cause__ or error
    while isinstance(reason, HTTPError) and reason.__cause__ is not None:
        reason = reason.__cause__
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    found = Unreachable(f"cannot reach {host}: {said}", hint=_NO_NETWORK)
    if isinstance(error, SSLError) or isinstance(reason, ssl.SSLError):
        hint = "name its certificate authority with `ca` in the registries' file"
        found = Unreachable(f"{host}: no trusted TLS connection: {said}", hint=hint)
        found.may_pass = False
    if isinstance(error, NewConnectionError):  # a NameResolutionError is one
        found.may_pass = False
    if isinstance(reason, ConnectionRefusedError):
        found.hint = f"nothing listens there: start the registry, or mend the name {host}"
    return found


def chunks_of(response: Response, host: str) -> Iterator[bytes]:
    """Give an answer's body; raise Broken where it breaks off."""
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
        response.release_conn()
    except (HTTPError, OSError) as error:
        found = unreachable(error, host)
        raise Broken(found.message, hint=found.hint) from error
    finally:
        response.close()


def read_some(response: Response, limit: int = _MAX_SAID) -> bytes:
    """Return the beginning of an answer's body, of at most `limit` bytes."""
    try:
        data = response.read(limit)
        if len(data) < limit:
            response.release_conn()
            return data
    except (HTTPError, OSError):
        data = b""
    response.close()
    return data


def _retry_after(response: Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _is_final(response: Response, wait: float | None) -> bool:
    """A rate limit that names no time lasts for hours."""
    return response.status == 429 and wait is None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
