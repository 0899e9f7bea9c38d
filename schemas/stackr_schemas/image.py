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
