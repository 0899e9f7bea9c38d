"""What an image says about the containers that run it."""

from pydantic import Field

from stackr_schemas.container import Frozen, Healthcheck


class ImageConfig(Frozen):
    """The `config` object of the OCI image specification, in our spelling."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    stop_signal: str = ""
    exposed_ports: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None


class Image(Frozen):
    """An image that is ready to run: its layers are folders of this host."""

    id: str
    """`sha256:…` of the config; for rootfs images an identity of the folder."""
    reference: str
    config: ImageConfig
    lowers: tuple[str, ...]
    """Overlay lower folders, uppermost first."""
    created: float = 0.0
    size: int = 0
    """Bytes of the unpacked layers."""


class StoredImage(Frozen):
    """An image in the store, whether or not its layers are unpacked."""

    id: str
    """`sha256:…` of the config."""
    manifest: str
    """`sha256:…` of the manifest."""
    names: tuple[str, ...] = ()
    """In full: `docker.io/library/nginx:latest`; an image without one is dangling."""
    config: ImageConfig
    diff_ids: tuple[str, ...]
    """`sha256:…` of the unpacked layers, the lowest first."""
    created: float = 0.0
    size: int = 0
    """Bytes of the unpacked layers."""
    platform: str = ""
