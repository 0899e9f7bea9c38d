"""An image of one layer from a folder or from an archive of a file tree."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from stackr_schemas.image import ImageConfig

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.compression import compressed, decompressed
from stackr_engine.image.imageconfig import run_document, this_platform
from stackr_engine.image.pack import pack_folder
from stackr_engine.image.pipeline import Sha256, prefetched, read_chunks
from stackr_engine.image.tarstream import TarStream


def layer_of(blobs: Blobs, source: Path | BinaryIO) -> tuple[str, str]:
    """Store a folder, or an archive as it is, as a layer; return its digest and its diff id."""
    if isinstance(source, Path):
        if source.is_dir():
            return _layer_of_folder(blobs, source)
        with open(source, "rb") as file:
            return _layer_of_archive(blobs, file)
    return _layer_of_archive(blobs, source)


def config_text(config: ImageConfig, diff_id: str, comment: str) -> bytes:
    """Write the config of an image that has one layer."""
    created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    platform = this_platform()
    document = {
        "architecture": platform.architecture,
        **({"variant": platform.variant} if platform.variant else {}),
        "os": platform.os,
        "created": created,
        "config": run_document(config),
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "comment": comment}],
    }
    return json.dumps(document).encode()


def _layer_of_folder(blobs: Blobs, folder: Path) -> tuple[str, str]:
    plain = Sha256()
    try:
        chunks = prefetched(compressed(plain.of(pack_folder(str(folder)))))
        digest = blobs.add(chunks)
        return digest, plain.digest()
    finally:
        plain.close()


def _layer_of_archive(blobs: Blobs, file: BinaryIO) -> tuple[str, str]:
    digest = blobs.add(read_chunks(file))
    plain = Sha256()
    try:
        with blobs.open(digest) as blob:
            source = ByteSource(plain.of(prefetched(decompressed(read_chunks(blob)))))
            for _ in TarStream(source):  # anything that is no archive ends here, by name
                pass
            source.drain()
        return digest, plain.digest()
    finally:
        plain.close()
