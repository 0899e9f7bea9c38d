"""Checking credentials at a registry before they are kept."""

from stackr_engine.image.registry.access import Access
from stackr_engine.image.registry.auth import Authorizer
from stackr_engine.image.registry.credentials import Credentials
from stackr_engine.image.registry.errors import RegistryError, Unauthorized, refusal
from stackr_engine.image.registry.transport import Ask, read_some


def check_login(access: Access, host: str, credentials: Credentials) -> None:
    """Raise Unauthorized unless the registry takes these credentials."""
    url = f"{access.base(host)}/v2/"
    authorizer = Authorizer(access.transport, host, lambda: credentials, ())
    response = access.transport.send(Ask("GET", url))
    body = read_some(response)
    if response.status == 401:
        header = response.headers.get("WWW-Authenticate", "")
        if not authorizer.renew("", header, url):
            raise RegistryError(f"{host} asks for a kind of login that is not supported: {header}")
        response = access.transport.send(Ask("GET", url, {"Authorization": authorizer.value}))
        body = read_some(response)
    if response.status == 401:
        hint = "check the username and the password"
        raise Unauthorized(f"{host} does not accept the credentials", hint=hint)
    if response.status != 200:
        raise refusal(response.status, body, "/v2/", host, is_known=True)
