"""Bringing images into the store: blobs first, then layers, and the record at the very end."""

import json
from functools import partial

from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.content import ArchiveContent, Content
from stackr_engine.image.imageconfig import (
    ConfigDocument,
    chain_ids,
    image_config,
)
from stackr_engine.image.layers import Layers
from stackr_engine.image.manifest import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    DockerManifest,
    Manifest,
    Platform,
    fitting,
    parse,
    parse_manifest,
)
from stackr_engine.image.records import Records
from stackr_engine.image.reference import parse_reference
from stackr_engine.image.tarheader import BadArchive

_MAX_NESTING = 4
_MAX_LAYERS = 500
"""As many lower folders as overlayfs takes."""


class Loader:
    """Takes images from some content into the store."""

    def __init__(self, blobs: Blobs, layers: Layers, records: Records):
        self._blobs = blobs
        self._layers = layers
        self._records = records

    def from_descriptor(
        self, content: Content, descriptor: Descriptor, names: tuple[str, ...], wanted: Platform
    ) -> StoredImage:
        """Take one image; from an index, the one for the wanted platform."""
        for _ in range(_MAX_NESTING):
            document = parse_manifest(content.read(descriptor.digest), descriptor.digest)
            if isinstance(document, Manifest):
                content.fetch(descriptor.digest)
                return self._take(content, document, descriptor.digest, names)
            descriptor = fitting(document, wanted)[0]
        raise BadArchive(f"it has indexes inside indexes, more than {_MAX_NESTING} deep")

    def from_docker(self, content: ArchiveContent, row: DockerManifest) -> StoredImage:
        """Take one image of a docker-archive, which has no manifest of its own."""
        config = content.fetch_member(row.config)
        layers = [content.fetch_member(path) for path in row.layers]
        return self._from_store(
            config, layers, tuple(str(parse_reference(name)) for name in row.names)
        )

    def from_store(self, config: bytes, layers: list[str], names: tuple[str, ...]) -> StoredImage:
        """Make an image of a new config and of layers that are in the store."""
        return self._from_store(self._blobs.add_bytes(config), layers, names)

    def unpacked(self, image: StoredImage) -> tuple[str, ...]:
        """Return the folders of an image's layers, uppermost first, unpacked if need be."""
        manifest = parse(Manifest, self._blobs.read(image.manifest), image.manifest)
        return self._unpack(manifest, image.diff_ids)

    def _unpack(self, manifest: Manifest, diff_ids: tuple[str, ...]) -> tuple[str, ...]:
        folders: tuple[str, ...] = ()
        rows = zip(chain_ids(diff_ids), diff_ids, manifest.layers, strict=True)
        for chain, diff_id, layer in rows:
            blob = partial(self._blobs.open, layer.digest)
            folders = (self._layers.ensure(chain, diff_id, folders, blob), *folders)
        return folders

    def _from_store(self, config: str, layers: list[str], names: tuple[str, ...]) -> StoredImage:
        digest = self._blobs.add_bytes(self._manifest_text(config, layers))
        manifest = parse(Manifest, self._blobs.read(digest), digest)
        return self._take(self._blobs, manifest, digest, names)

    def _manifest_text(self, config: str, layers: list[str]) -> bytes:
        """Write the manifest of a config and layers that are in the store."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._descriptor(config, OCI_CONFIG),
            "layers": [self._descriptor(layer, self._layer_type(layer)) for layer in layers],
        }
        return json.dumps(document).encode()

    def _descriptor(self, digest: str, media_type: str) -> dict[str, object]:
        return {"mediaType": media_type, "digest": digest, "size": self._blobs.size(digest)}

    def _layer_type(self, digest: str) -> str:
        with self._blobs.open(digest) as file:
            start = file.read(4)
        if start.startswith(b"\x1f\x8b"):
            return f"{OCI_LAYER}+gzip"
        return f"{OCI_LAYER}+zstd" if start == b"\x28\xb5\x2f\xfd" else OCI_LAYER

    def _take(
        self, content: Content, manifest: Manifest, digest: str, names: tuple[str, ...]
    ) -> StoredImage:
        config_digest = manifest.config.digest
        config = parse(ConfigDocument, content.read(config_digest), config_digest)
        check_layers(manifest, config)
        content.fetch(config_digest)
        for layer in manifest.layers:
            content.fetch(layer.digest)
        self._unpack(manifest, config.rootfs.diff_ids)
        return self.record(manifest, digest, config, names)

    def record(
        self, manifest: Manifest, digest: str, config: ConfigDocument, names: tuple[str, ...]
    ) -> StoredImage:
        """Record an image whose blobs and layers are all in the store: from now on it exists."""
        image = StoredImage(
            id=manifest.config.digest,
            manifest=digest,
            names=names,
            config=image_config(config.config),
            diff_ids=config.rootfs.diff_ids,
            created=config.created_at,
            size=self._layers.size(chain_ids(config.rootfs.diff_ids)),
            platform=str(config.platform),
        )
        self._records.put(image)
        return image


def check_layers(manifest: Manifest, config: ConfigDocument) -> None:
    """Raise BadArchive unless manifest and config speak of the same layers."""
    count = len(config.rootfs.diff_ids)
    if count != len(manifest.layers):
        raise BadArchive(
            f"the manifest has {len(manifest.layers)} layers and the config {count}: "
            "this is no container image"
        )
    if count > _MAX_LAYERS:
        raise BadArchive(f"it has {count} layers; overlayfs takes {_MAX_LAYERS}")
    if config.os not in ("", "linux"):
        raise BadArchive(f"it is an image for {config.os}, not for Linux")
