"""Manifests, indexes and configs, of OCI and of Docker (version 2, schema 2).

https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from stackr_schemas.errors import StackrError

from stackr_engine.image.tarheader import BadArchive

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
_HINT = "the image is damaged, or of a kind that is not supported"


class Document(BaseModel):
    """A part of a JSON document; null means the same as nothing, unknown fields mean nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None}


class Platform(Document):
    """What a manifest runs on."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def accepts(self, offered: "Platform") -> bool:
        """Tell whether what is offered will do; a variant counts where both sides name one."""
        same = (offered.os, offered.architecture) == (self.os, self.architecture)
        return same and len({offered.variant, self.variant} - {""}) < 2

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Document):
    """Something that is found by its digest."""

    media_type: str = Field("", alias="mediaType")
    digest: str
    size: int = Field(0, ge=0)
    annotations: dict[str, str] = Field(default_factory=dict)
    platform: Platform | None = None


class Manifest(Document):
    """One image for one platform."""

    media_type: str = Field(OCI_MANIFEST, alias="mediaType")
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()


class Index(Document):
    """Images, or one image for several platforms."""

    manifests: tuple[Descriptor, ...] = ()


class DockerManifest(Document):
    """One row of a docker-archive's `manifest.json`; paths are inside the archive."""

    config: str = Field(alias="Config")
    names: tuple[str, ...] = Field((), alias="RepoTags")
    layers: tuple[str, ...] = Field((), alias="Layers")


T = TypeVar("T", bound=Document)


def parse(kind: type[T], text: bytes, what: str) -> T:
    """Read a document; raise BadArchive that says what is wrong with it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadArchive(f"{what}: {place or 'the text'}: {first['msg']}", hint=_HINT) from error


def parse_manifest(text: bytes, what: str) -> Manifest | Index:
    """Read a manifest or an index, told apart by what is in it."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadArchive(f"{what} is not JSON: {error}", hint=_HINT) from error
    if not isinstance(tree, dict):
        raise BadArchive(f"{what} is not a manifest", hint=_HINT)
    if tree.get("schemaVersion") == 1:
        raise BadArchive(
            f"{what} is a manifest of Docker's schema 1, which is not supported",
            hint="pull and push the image once with a Docker of 2017 or later",
        )
    if "manifests" in tree:
        return parse(Index, text, what)
    return parse(Manifest, text, what)


def parse_docker_manifests(text: bytes) -> list[DockerManifest]:
    """Read a docker-archive's `manifest.json`."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadArchive(f"manifest.json is not JSON: {error}", hint=_HINT) from error
    if not isinstance(rows, list):
        raise BadArchive("manifest.json is not a list", hint=_HINT)
    return [parse(DockerManifest, json.dumps(row).encode(), "manifest.json") for row in rows]


def parse_platform(text: str) -> Platform:
    """Read `linux/arm64` or `linux/arm/v7`; raise StackrError for anything else."""
    match text.split("/"):
        case [os, architecture]:
            variant = ""
        case [os, architecture, variant]:
            pass
        case _:
            os = architecture = variant = ""
    if not (os and architecture):
        raise StackrError(f'"{text}" is no platform', hint="write it as linux/amd64")
    return Platform(os=os, architecture=architecture, variant=variant)


def fitting(index: Index, wanted: Platform) -> list[Descriptor]:
    """Return what is for this machine; a variant is matched where both sides name one."""
    candidates = [item for item in index.manifests if not _is_attestation(item)]
    found = [item for item in candidates if item.platform is None or wanted.accepts(item.platform)]
    if not found:
        offered = ", ".join(sorted({str(item.platform) for item in candidates})) or "nothing"
        raise BadArchive(f"it has no image for {wanted}, only for {offered}")
    return found


def _is_attestation(item: Descriptor) -> bool:
    kind = item.annotations.get("vnd.docker.reference.type")
    return kind is not None or (item.platform is not None and item.platform.os == "unknown")
