"""Pulling one image: its manifest, then all layers at once, each unpacked while it comes."""

import time
from dataclasses import dataclass

from stackr_schemas.errors import NotFound
from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import checked
from stackr_engine.image.imageconfig import ConfigDocument, this_platform
from stackr_engine.image.loading import check_layers
from stackr_engine.image.manifest import (
    Manifest,
    fitting,
    parse,
    parse_manifest,
    parse_platform,
)
from stackr_engine.image.records import Origin
from stackr_engine.image.reference import Reference
from stackr_engine.image.registry.access import Access
from stackr_engine.image.registry.arriving import Arriving, Parts
from stackr_engine.image.registry.errors import RegistryError, ResumedWrongly
from stackr_engine.image.registry.report import Report
from stackr_engine.image.registry.repository import Fetched, Repository
from stackr_engine.image.tarheader import BadArchive

_MAX_NESTING = 4
_MAX_CONFIG = 8 << 20


@dataclass(frozen=True)
class Pulled:
    """What became of a pull."""

    image: StoredImage
    digest: str
    """Of what the registry has under the name: an index, or a manifest."""
    is_new: bool


class Pull:
    """One image for one user."""

    def __init__(
        self, parts: Parts, access: Access, reference: Reference, platform: str, report: Report
    ):
        self._parts = parts
        self._access = access
        self._reference = reference
        self._name = str(reference.recorded)
        self._wanted = parse_platform(platform) if platform else this_platform()
        self._is_picky = bool(platform)
        self._report = report

    def run(self) -> Pulled:
        """Bring the image into the store, unless it is there as the registry has it."""
        sources = self._access.sources(self._reference)
        for source in sources[:-1]:
            try:
                return self._from(source)
            except (RegistryError, NotFound):
                continue  # a mirror may be behind, or down
        return self._from(sources[-1])

    def _from(self, source: Repository) -> Pulled:
        try:
            return self._known(source) or self._bring(source)
        except ResumedWrongly:
            return self._bring(source)  # what an earlier pull had left is deleted by now
        except BadArchive as error:
            text = f"{self._reference.familiar}: {error.message}"
            raise BadArchive(text, hint=error.hint) from error

    def _known(self, source: Repository) -> Pulled | None:
        """Return what is in the store, if the registry has nothing else."""
        records = self._parts.records
        try:
            image = records.find(self._name)
        except NotFound:
            return None
        if self._is_picky and not self._wanted.accepts(parse_platform(image.platform)):
            return None
        if self._reference.digest:
            return Pulled(image, self._reference.digest, False)
        origin = records.origin(self._name)
        if origin is None or source.manifest_digest(self._reference.tag) != origin.digest:
            return None
        records.pulled(self._name, Origin(origin.digest, time.time()))
        return Pulled(image, origin.digest, False)

    def _bring(self, source: Repository) -> Pulled:
        first = source.manifest(self._reference.digest or self._reference.tag)
        fetched, manifest = self._manifest(source, first)
        text = self._config(source, manifest)
        config = parse(ConfigDocument, text, manifest.config.digest)
        check_layers(manifest, config)
        if self._is_picky and not self._wanted.accepts(config.platform):
            raise BadArchive(f"it has no image for {self._wanted}, only for {config.platform}")
        with Arriving(self._parts, self._access.check, self._report) as layers:
            layers.begin(manifest.layers, source.blob)
            layers.unpack(manifest, config.rootfs.diff_ids)
        self._parts.blobs.add_bytes(text)
        self._parts.blobs.add_bytes(fetched.text)
        image = self._parts.loader.record(manifest, fetched.digest, config, (self._name,))
        self._parts.records.pulled(self._name, Origin(first.digest, time.time()))
        return Pulled(image, first.digest, True)

    def _manifest(self, source: Repository, fetched: Fetched) -> tuple[Fetched, Manifest]:
        for _ in range(_MAX_NESTING):
            document = parse_manifest(fetched.text, fetched.digest)
            if isinstance(document, Manifest):
                return fetched, document
            fetched = source.manifest(fitting(document, self._wanted)[0].digest)
        raise BadArchive(f"it has indexes inside indexes, more than {_MAX_NESTING} deep")

    def _config(self, source: Repository, manifest: Manifest) -> bytes:
        digest, size = manifest.config.digest, manifest.config.size
        if self._parts.blobs.has(digest):
            return self._parts.blobs.read(digest)
        return checked(source.document(digest, min(size or _MAX_CONFIG, _MAX_CONFIG)), digest)
