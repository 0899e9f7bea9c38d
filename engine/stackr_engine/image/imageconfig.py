"""The config of an image: how its containers run, and what its layers unpack to."""

import hashlib
import os
from datetime import datetime

from pydantic import Field
from stackr_schemas.container import Healthcheck
from stackr_schemas.image import ImageConfig

from stackr_engine.image.manifest import Document, Platform

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
}


class HealthcheckDocument(Document):
    """Durations in nanoseconds; 0 stands for the default."""

    test: tuple[str, ...] = Field((), alias="Test")
    interval: int = Field(0, alias="Interval")
    timeout: int = Field(0, alias="Timeout")
    start_period: int = Field(0, alias="StartPeriod")
    start_interval: int = Field(0, alias="StartInterval")
    retries: int = Field(0, alias="Retries")


class RunDocument(Document):
    """The `config` object."""

    user: str = Field("", alias="User")
    exposed_ports: dict[str, object] = Field(default_factory=dict, alias="ExposedPorts")
    env: tuple[str, ...] = Field((), alias="Env")
    entrypoint: tuple[str, ...] = Field((), alias="Entrypoint")
    cmd: tuple[str, ...] = Field((), alias="Cmd")
    volumes: dict[str, object] = Field(default_factory=dict, alias="Volumes")
    working_dir: str = Field("", alias="WorkingDir")
    labels: dict[str, str] = Field(default_factory=dict, alias="Labels")
    stop_signal: str = Field("", alias="StopSignal")
    healthcheck: HealthcheckDocument | None = Field(None, alias="Healthcheck")


class RootfsDocument(Document):
    """The digests of the unpacked layers, the lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class ConfigDocument(Document):
    """The whole config."""

    os: str = "linux"
    architecture: str = ""
    variant: str = ""
    created: str = ""
    config: RunDocument = RunDocument()
    rootfs: RootfsDocument = RootfsDocument()

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(os=self.os, architecture=self.architecture, variant=self.variant)

    @property
    def created_at(self) -> float:
        """Seconds since the epoch; 0 where the image does not say."""
        try:
            return datetime.fromisoformat(self.created).timestamp()
        except ValueError:
            return 0.0


def image_config(document: RunDocument) -> ImageConfig:
    """Say the config in our spelling."""
    return ImageConfig(
        user=document.user,
        env=document.env,
        entrypoint=document.entrypoint,
        cmd=document.cmd,
        volumes=tuple(sorted(document.volumes)),
        working_dir=document.working_dir,
        labels=document.labels,
        stop_signal=document.stop_signal,
        exposed_ports=tuple(sorted(document.exposed_ports)),
        healthcheck=_healthcheck(document.healthcheck),
    )


def run_document(config: ImageConfig) -> dict[str, object]:
    """Say the config in the image specification's spelling; what is empty is left out."""
    check = config.healthcheck
    fields: dict[str, object] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": config.labels,
        "StopSignal": config.stop_signal,
        "Healthcheck": check
        and {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        },
    }
    return {key: value for key, value in fields.items() if value}


def this_platform() -> Platform:
    """Return what this machine runs."""
    machine = os.uname().machine
    architecture, variant = _ARCHITECTURES.get(machine, (machine, ""))
    return Platform(os="linux", architecture=architecture, variant=variant)


def chain_ids(diff_ids: tuple[str, ...]) -> list[str]:
    """Name each layer together with everything below it.

    https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else diff_id)
    return chains


def _healthcheck(document: HealthcheckDocument | None) -> Healthcheck | None:
    if document is None or not document.test:
        return None
    said = {key: value for key, value in document.model_dump().items() if value}
    return Healthcheck(**said)
