"""The configuration file of registries: mirrors, insecure ones, certificate authorities."""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from stackr_schemas.errors import StackrError

DEFAULT_FILE = Path("/etc/stackr/registries.toml")
VARIABLE = "STACKR_REGISTRIES"
HUB = "docker.io"
_HINT = "docs/registries.md describes the file"


class RegistrySettings(BaseModel):
    """What the file says of one registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mirrors: tuple[str, ...] = ()
    """Asked before the registry itself, in their order; hosts, or `http://…` and `https://…`."""
    insecure: bool = False
    """Plain HTTP and unverified certificates are accepted."""
    ca: str = ""
    """A file of certificates that are trusted besides the system's."""


class Settings(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    registry: dict[str, RegistrySettings] = Field(default_factory=dict)

    def of(self, host: str) -> RegistrySettings:
        """Return what is said of a host (with its port, if it has one)."""
        return self.registry.get(host, RegistrySettings())

    def allows_plain(self, host: str) -> bool:
        """Tell whether this host may be spoken to without TLS: loopback, and what is listed."""
        mirrors = (mirror for one in self.registry.values() for mirror in one.mirrors)
        return is_loopback(host) or self.of(host).insecure or f"http://{host}" in mirrors


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the file; without one, there are no mirrors and nothing is insecure."""
    named = environment.get(VARIABLE)
    path = Path(named) if named else DEFAULT_FILE
    try:
        return Settings.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        if named:
            raise StackrError(f"{VARIABLE} names {path}, which does not exist") from None
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StackrError(f"{path}: {place}: {first['msg']}", hint=_HINT) from error
    except (OSError, ValueError) as error:
        raise StackrError(f"{path}: {error}", hint=_HINT) from error


def is_loopback(host: str) -> bool:
    """Tell whether `host[:port]` is this machine, by its name or address alone."""
    name = host_name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return `host[:port]` without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
