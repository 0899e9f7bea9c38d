"""What a registry, or the way to it, may refuse, each with the next step."""

import json

from stackr_schemas.errors import NotFound, StackrError

_MAX_SHOWN = 300


class RegistryError(StackrError):
    """A registry does not do what it was asked for."""


class Unreachable(RegistryError):
    """No answer came, or it broke off."""

    may_pass = True
    """Whether trying again may help."""


class Broken(Unreachable):
    """An answer broke off in its middle: the rest can be asked for."""


class Unauthorized(RegistryError):
    """The registry wants other credentials, or gives this to nobody."""


class RateLimited(RegistryError):
    """The registry answers this user no more for a while."""


class Damaged(RegistryError):
    """What came is not what was announced."""


class ResumedWrongly(Damaged):
    """The damage may be in what an earlier download had left; it is deleted by now."""


def refusal(status: int, body: bytes, what: str, host: str, *, is_known: bool) -> StackrError:
    """Make the error for an answer; `is_known` says that credentials were sent."""
    said = said_in(body)
    tail = f": {said}" if said else ""
    match status:
        case 404:
            hint = "check the name and the tag"
            return NotFound(f"{what} is not in the registry {host}{tail}", hint=hint)
        case 401 | 403 if is_known:
            hint = f"`{_login(host)}` with an account that may; check the name"
            return Unauthorized(f"{host} denies access to {what}{tail}", hint=hint)
        case 401 | 403:
            hint = f"check the name; if it is private: `{_login(host)}`"
            return Unauthorized(
                f"{what} does not exist on {host} or needs a login{tail}", hint=hint
            )
        case _:
            return RegistryError(
                f"{host} answers {status} for {what}{tail}", hint="try again later"
            )


def rate_limit(host: str, wait: float | None, body: bytes = b"") -> RateLimited:
    """Make the error for status 429."""
    said = said_in(body)
    when = f"try again in {wait:.0f} s" if wait is not None else "try again later"
    hint = f"{when}, `{_login(host)}` for a higher limit, or set up a mirror"
    return RateLimited(f"{host}: too many requests{f': {said}' if said else ''}", hint=hint)


def said_in(body: bytes) -> str:
    """Return the messages of an answer in the specification's form, in one line."""
    try:
        errors = json.loads(body)["errors"]
        parts = [str(error.get("message") or error.get("code") or "") for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    text = " ".join("; ".join(filter(None, parts)).split())
    return "".join(char if char.isprintable() else "?" for char in text)[:_MAX_SHOWN]


def _login(host: str) -> str:
    is_hub = host in ("docker.io", "registry-1.docker.io", "auth.docker.io")
    return "stackr login" if is_hub else f"stackr login {host}"
