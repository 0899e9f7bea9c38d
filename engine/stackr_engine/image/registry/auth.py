"""Authentication at a registry: nothing, Basic, or a token from the server that it names.

https://distribution.github.io/distribution/spec/auth/token/
"""

import json
import threading
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from stackr_engine.image.registry.challenge import Challenge, parse_challenges
from stackr_engine.image.registry.credentials import Credentials
from stackr_engine.image.registry.errors import RegistryError, Unauthorized, refusal
from stackr_engine.image.registry.transport import Ask, Transport, read_some

_CLIENT = "stackr"
_MAX_ANSWER = 1 << 20


class Authorizer:
    """What to send in `Authorization` to one registry, for some scopes."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        credentials: Callable[[], Credentials | None],
        scopes: tuple[str, ...],
    ):
        self._transport = transport
        self._host = host
        self._credentials = credentials
        self._scopes = scopes
        self._lock = threading.Lock()
        self.value = ""
        self.is_known = False
        """Whether credentials of the user's were used."""

    def renew(self, used: str, header: str, url: str) -> bool:
        """Answer a 401 to a request that sent `used`; tell whether trying again makes sense."""
        with self._lock:
            if self.value != used:
                return True  # another thread was faster
            found = self._credentials()
            self.is_known = found is not None
            challenges = {one.scheme: one for one in parse_challenges(header)}
            if "bearer" in challenges:
                self.value = f"Bearer {self._token(challenges['bearer'], found, url)}"
            elif "basic" in challenges and found is not None and found.username:
                self.value = found.basic
            return self.value not in ("", used)

    def _token(self, challenge: Challenge, found: Credentials | None, url: str) -> str:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        is_weaker = urlsplit(url).scheme == "https" and parts.scheme != "https"
        if parts.scheme not in ("http", "https") or is_weaker:
            raise RegistryError(f'{self._host} sends to "{realm[:100]}" for a token, not to https')
        service = challenge.parameters.get("service", "")
        response = self._transport.send(self._ask(realm, service, found))
        body = read_some(response, _MAX_ANSWER)
        if response.status in (401, 403) and found:
            hint = f"`stackr login {self._host}` again"
            who = found.username or "this user"
            raise Unauthorized(f"{self._host} does not accept the credentials of {who}", hint=hint)
        if response.status != 200:
            raise refusal(response.status, body, "a token", parts.netloc, is_known=bool(found))
        try:
            tree = json.loads(body)
            token = tree.get("token") or tree["access_token"]
        except (ValueError, KeyError, AttributeError, RecursionError):
            token = ""
        if not isinstance(token, str) or not token.isprintable() or not token:
            raise RegistryError(f"{parts.netloc} answers without a token")
        return token

    def _ask(self, realm: str, service: str, found: Credentials | None) -> Ask:
        if found and found.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(self._scopes),
                "refresh_token": found.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Ask("POST", realm, headers, urlencode(form).encode())
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in self._scopes]
        query += [("account", found.username)] if found else []
        sign = "&" if "?" in realm else "?"
        url = f"{realm}{sign}{urlencode(query)}" if query else realm
        return Ask("GET", url, {"Authorization": found.basic} if found else {})
