"""`oci:./layout[:tag]`: an image in an OCI layout, taken into the store when it changes."""

from pathlib import Path

from stackr_schemas.errors import NotFound
from stackr_schemas.image import StoredImage

from stackr_engine.image.archive import pick, read_index
from stackr_engine.image.blobs import Blobs
from stackr_engine.image.content import LayoutFolder
from stackr_engine.image.imageconfig import this_platform
from stackr_engine.image.loading import Loader

PREFIX = "oci:"


class OciReferences:
    """Remembers what each layout had, and looks only whether its index was written since."""

    def __init__(self, loader: Loader, blobs: Blobs):
        self._loader = loader
        self._blobs = blobs
        self._known: dict[str, tuple[tuple[int, ...], StoredImage]] = {}

    def find(self, reference: str, base_dir: Path) -> StoredImage:
        """Return the image, brought into the store under the name `oci:/FOLDER:TAG`."""
        folder, tag = _split(reference.removeprefix(PREFIX), base_dir)
        name = f"{PREFIX}{folder}:{tag}" if tag else f"{PREFIX}{folder}"
        state = _state_of(folder / "index.json")
        if name in self._known and self._known[name][0] == state:
            return self._known[name][1]
        descriptor = pick(read_index(folder), tag, str(folder))
        content = LayoutFolder(folder, self._blobs)
        image = self._loader.from_descriptor(content, descriptor, (name,), this_platform())
        self._known[name] = (state, image)
        return image

    def forget(self) -> None:
        """Look again: images were removed."""
        self._known.clear()


def _split(text: str, base_dir: Path) -> tuple[Path, str]:
    """Tell the folder from the tag; a folder may have colons in its name."""
    whole = base_dir / text
    path, colon, tag = text.rpartition(":")
    if whole.is_dir() or not colon or "/" in tag:
        return whole.resolve(), ""
    return (base_dir / path).resolve(), tag


def _state_of(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        hint = "an OCI layout is a folder with index.json and blobs/"
        raise NotFound(f"{file.parent} is no OCI layout", hint=hint) from None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
