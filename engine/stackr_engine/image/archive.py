"""Archives of images, as `docker save`, `podman save` and `skopeo copy` write them; OCI layouts."""

from pathlib import Path
from typing import BinaryIO

from stackr_schemas.errors import NotFound, StackrError
from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.content import ArchiveContent, LayoutFolder
from stackr_engine.image.imageconfig import this_platform
from stackr_engine.image.loading import Loader
from stackr_engine.image.manifest import (
    FULL_NAME,
    REF_NAME,
    Descriptor,
    Index,
    fitting,
    parse,
    parse_docker_manifests,
)
from stackr_engine.image.pipeline import prefetched, read_chunks
from stackr_engine.image.reference import parse_reference
from stackr_engine.image.tarheader import BadArchive


def load(loader: Loader, blobs: Blobs, source: Path | BinaryIO) -> list[StoredImage]:
    """Take every image of an archive, by path or open, or of a folder in OCI layout."""
    if not isinstance(source, Path):
        return load_archive(loader, blobs, source)
    try:
        if source.is_dir():
            return load_layout(loader, blobs, source)
        with open(source, "rb") as file:
            return load_archive(loader, blobs, file)
    except FileNotFoundError as error:
        raise NotFound(f"no archive {source}") from error
    except BadArchive as error:
        raise BadArchive(f"{source}: {error.message}", hint=error.hint) from error


def load_archive(loader: Loader, blobs: Blobs, file: BinaryIO) -> list[StoredImage]:
    """Take every image of a docker-archive or oci-archive, compressed or not."""
    content = ArchiveContent(blobs)
    chunks = prefetched(read_chunks(file))
    try:
        content.read_archive(chunks)
        rows = content.document("manifest.json")
        if rows is not None:
            return [loader.from_docker(content, row) for row in parse_docker_manifests(rows)]
        index = content.document("index.json")
        if index is None:
            raise BadArchive(
                "it has neither manifest.json nor index.json: it is no archive of images",
                hint="`stackr import` makes an image of a plain file tree",
            )
        return _load_index(loader, content, parse(Index, index, "index.json"))
    finally:
        chunks.close()
        content.close()


def load_layout(loader: Loader, blobs: Blobs, folder: Path) -> list[StoredImage]:
    """Take every image of a folder in OCI layout."""
    content = LayoutFolder(folder, blobs)
    return _load_index(loader, content, read_index(folder))


def read_index(folder: Path) -> Index:
    """Read the index of a folder in OCI layout."""
    try:
        return parse(Index, (folder / "index.json").read_bytes(), f"{folder}/index.json")
    except FileNotFoundError:
        hint = "an OCI layout is a folder with index.json and blobs/"
        raise NotFound(f"{folder} has no index.json", hint=hint) from None


def pick(index: Index, tag: str, where: str) -> Descriptor:
    """Find the image with that tag in a layout; without a tag, the only one there is."""
    items = fitting(index, this_platform())
    tags = {item.annotations.get(REF_NAME, ""): item for item in items}
    if not tag and len({item.digest for item in items}) == 1:
        return items[0]
    wanted = tag or "latest"
    if wanted in tags:
        return tags[wanted]
    for name, item in tags.items():
        if name.endswith(f":{wanted}"):
            return item
    offered = ", ".join(sorted(name for name in tags if name)) or "images without a tag"
    raise NotFound(f"{where} has no image {wanted}", hint=f"it has {offered}")


def _load_index(
    loader: Loader, content: ArchiveContent | LayoutFolder, index: Index
) -> list[StoredImage]:
    platform = this_platform()
    return [
        loader.from_descriptor(content, item, _names_of(item), platform)
        for item in fitting(index, platform)
    ]


def _names_of(item: Descriptor) -> tuple[str, ...]:
    """Read the name that a layout gives: in full, or a tag that names no repository."""
    name = item.annotations.get(FULL_NAME) or item.annotations.get(REF_NAME, "")
    if "/" not in name and ":" not in name:
        return ()
    try:
        return (str(parse_reference(name)),)
    except StackrError:
        return ()
