"""Writing images as one archive that is an OCI layout and a docker-archive at the same time."""

import json
from collections.abc import Iterator, Sequence

from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.manifest import (
    FULL_NAME,
    REF_NAME,
    Manifest,
    parse,
)
from stackr_engine.image.pipeline import Sha256, read_chunks
from stackr_engine.image.reference import parse_reference
from stackr_engine.image.tarheader import BadArchive
from stackr_engine.image.tarstream import FOLDER, REGULAR, TarEntry
from stackr_engine.image.tarwriter import END, header_of, padded

_BLOBS = "blobs/sha256"


def archive_of(blobs: Blobs, images: Sequence[StoredImage]) -> Iterator[bytes]:
    """Give the archive of some images, under the names that are in them."""
    manifests = {
        image.manifest: parse(Manifest, blobs.read(image.manifest), image.manifest)
        for image in images
    }
    digests = {
        digest
        for name, manifest in manifests.items()
        for digest in (name, manifest.config.digest, *(layer.digest for layer in manifest.layers))
    }
    for folder in ("blobs", _BLOBS):
        yield header_of(_entry(f"{folder}/", FOLDER, 0))
    for digest in sorted(digests):
        yield from _blob(blobs, digest)
    rows = [_docker_row(image, manifests[image.manifest]) for image in images]
    yield from _file("index.json", _index(blobs, images, manifests))
    yield from _file("manifest.json", rows)
    yield from _file("oci-layout", {"imageLayoutVersion": "1.0.0"})
    yield END


def _index(
    blobs: Blobs, images: Sequence[StoredImage], manifests: dict[str, Manifest]
) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    for image in images:
        row: dict[str, object] = {
            "mediaType": manifests[image.manifest].media_type,
            "digest": image.manifest,
            "size": blobs.size(image.manifest),
        }
        names = [name for name in image.names if "@" not in name and not name.startswith("oci:")]
        rows += [row | {"annotations": _annotations(name)} for name in names] or [row]
    return {"schemaVersion": 2, "manifests": rows}


def _annotations(name: str) -> dict[str, str]:
    return {FULL_NAME: name, REF_NAME: parse_reference(name).tag}


def _docker_row(image: StoredImage, manifest: Manifest) -> dict[str, object]:
    names = [name for name in image.names if "@" not in name and not name.startswith("oci:")]
    return {
        "Config": _path(manifest.config.digest),
        "RepoTags": [parse_reference(name).familiar for name in names] or None,
        "Layers": [_path(layer.digest) for layer in manifest.layers],
    }


def _blob(blobs: Blobs, digest: str) -> Iterator[bytes]:
    size = blobs.size(digest)
    yield header_of(_entry(_path(digest), REGULAR, size))
    check = Sha256()
    try:
        with blobs.open(digest) as file:
            yield from check.of(read_chunks(file))
        yield bytes(-size % 512)
        if check.digest() != digest:
            raise BadArchive(
                f"the store's blob {digest} is damaged", hint="load or pull the image again"
            )
    finally:
        check.close()


def _file(name: str, document: object) -> Iterator[bytes]:
    data = json.dumps(document).encode()
    yield header_of(_entry(name, REGULAR, len(data))) + padded(data)


def _entry(name: str, kind: bytes, size: int) -> TarEntry:
    mode = 0o755 if kind == FOLDER else 0o644
    return TarEntry(name.encode(), kind, mode, 0, 0, 0, size, b"", 0, 0, size)


def _path(digest: str) -> str:
    return f"{_BLOBS}/{digest.removeprefix('sha256:')}"
