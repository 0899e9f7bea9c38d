"""Unpacking one layer: inflation, digest and files each in a thread."""

from typing import BinaryIO

from stackr_engine.image.bytesource import ByteSource
from stackr_engine.image.compression import decompressed
from stackr_engine.image.extraction import Extraction, Limits
from stackr_engine.image.layerfolder import LayerFolder
from stackr_engine.image.pipeline import Sha256, prefetched, read_chunks
from stackr_engine.image.tarheader import BadArchive


def unpack(
    blob: BinaryIO,
    folder: str,
    below: tuple[str, ...],
    diff_id: str,
    limits: Limits | None = None,
) -> int:
    """Unpack a layer into an empty folder and return the bytes of its files.

    Raises BadArchive if it is not what `diff_id` says; the folder is then of no use.
    """
    limits = limits or Limits.of_disk(folder)
    digest = Sha256()
    plain = prefetched(decompressed(read_chunks(blob)))
    target = LayerFolder(folder, below)
    try:
        size = Extraction(target, limits).run(ByteSource(digest.of(plain)))
        found = digest.digest()
    finally:
        target.close()
        digest.close()
        plain.close()
    if found != diff_id:
        raise BadArchive(f"the layer unpacks to {found} where {diff_id} was announced")
    return size
