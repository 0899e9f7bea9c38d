"""One user's way to registries: settings, proxies and credentials of one command."""

from collections.abc import Callable, Mapping
from functools import cached_property

from stackr_engine.image.reference import Reference
from stackr_engine.image.registry.auth import Authorizer
from stackr_engine.image.registry.credentials import DockerConfig
from stackr_engine.image.registry.errors import Unreachable
from stackr_engine.image.registry.repository import Repository
from stackr_engine.image.registry.settings import HUB, Settings, is_loopback, read_settings
from stackr_engine.image.registry.transport import Ask, Transport, read_some

_HUB_SERVER = "registry-1.docker.io"


class Access:
    """What a command needs to speak to registries; `check` raises when the user wants to end."""

    def __init__(self, environment: Mapping[str, str], check: Callable[[], None]):
        self.check = check
        self._environment = environment
        self._bases: dict[str, str] = {}

    @cached_property
    def settings(self) -> Settings:
        """The configuration file."""
        return read_settings(self._environment)

    @cached_property
    def config(self) -> DockerConfig:
        """The user's credentials."""
        return DockerConfig(self._environment)

    @cached_property
    def transport(self) -> Transport:
        """The connections."""
        return Transport(self.settings, self._environment, self.check)

    def sources(self, reference: Reference) -> list[Repository]:
        """Return where an image can be had: the mirrors in their order, then its registry."""
        mirrors = self.settings.of(reference.registry).mirrors
        return [
            self.repository(reference, mirror.rstrip("/"), actions="pull")
            for mirror in (*mirrors, reference.registry)
        ]

    def target(self, reference: Reference, mounts: tuple[str, ...] = ()) -> Repository:
        """Return the repository to push to, allowed to mount blobs of some others there."""
        return self.repository(reference, reference.registry, actions="pull,push", mounts=mounts)

    def repository(
        self, reference: Reference, place: str, *, actions: str, mounts: tuple[str, ...] = ()
    ) -> Repository:
        """Return a repository at a host, or at the URL of a mirror."""
        host = place.partition("://")[2] or place
        scopes = [f"repository:{reference.repository}:{actions}"]
        scopes += [f"repository:{name}:pull" for name in mounts]
        return Repository(
            self.transport,
            lambda: self.base(place),
            self.authorizer(host.partition("/")[0], tuple(scopes)),
            reference,
        )

    def authorizer(self, host: str, scopes: tuple[str, ...]) -> Authorizer:
        """Return what logs in at a host with the user's credentials."""
        return Authorizer(self.transport, host, lambda: self.config.credentials(host), scopes)

    def base(self, place: str) -> str:
        """Return the URL below which `/v2/` is: TLS, but for hosts that may do without it."""
        if "://" in place:
            return place
        if place not in self._bases:
            self._bases[place] = self._find_base(place)
        return self._bases[place]

    def _find_base(self, host: str) -> str:
        server = _HUB_SERVER if host == HUB else host
        if not self.settings.allows_plain(host):
            return f"https://{server}"
        # What goes to this machine needs no TLS; a listed host gets it if it can do it.
        first, second = ("http", "https") if is_loopback(host) else ("https", "http")
        try:
            answer = self.transport.send(Ask("GET", f"{first}://{server}/v2/"), attempts=1)
        except Unreachable:
            return f"{second}://{server}"
        read_some(answer)
        # 400: "Client sent an HTTP request to an HTTPS server".
        return f"{second if answer.status == 400 else first}://{server}"
