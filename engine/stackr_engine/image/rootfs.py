"""Folders as images: `rootfs:./folder` and, for this machine itself, `rootfs:/`."""

import hashlib
import os
from pathlib import Path

from stackr_schemas.errors import NotFound, StackrError
from stackr_schemas.image import Image, ImageConfig

from stackr_engine.image.hostroot import HostRoot
from stackr_engine.paths import Paths

PREFIX = "rootfs:"
_CONFIG = ImageConfig(
    env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
)


class RootfsImages:
    """Images that are folders of this host, used in place and never copied."""

    def __init__(self, paths: Paths):
        self._private = (paths.state, paths.run)
        self._host = HostRoot(paths)

    def resolve(self, reference: str, base_dir: Path) -> Image:
        """Return the folder named by `rootfs:PATH`, relative to `base_dir`, as an image."""
        folder = (base_dir / reference.removeprefix(PREFIX)).resolve()
        if folder == Path("/"):
            return _image(reference, "/", self._host.lowers())
        if not folder.is_dir():
            raise NotFound(f"image {reference}: no folder {folder}", hint="check the path")
        for private in self._private:
            if private.resolve().is_relative_to(folder):
                raise StackrError(
                    f"image {reference}: {folder} contains this engine's own {private}",
                    hint="name a folder beside it, or rootfs:/ for the whole machine",
                )
        return _image(reference, _identity(folder), (str(folder),))

    def ready(self, image: Image) -> Image:
        """Return an image that was resolved before, mounted again if need be."""
        if image.id == _image(image.reference, "/", ()).id:
            return image.model_copy(update={"lowers": self._host.lowers()})
        if not Path(image.lowers[0]).is_dir():
            raise NotFound(f"image {image.reference}: the folder {image.lowers[0]} is gone")
        return image

    def release(self) -> None:
        """Unmount what `rootfs:/` needs."""
        self._host.release()


def _image(reference: str, identity: str, lowers: tuple[str, ...]) -> Image:
    digest = hashlib.sha256(f"{PREFIX}{identity}".encode()).hexdigest()
    return Image(id=f"sha256:{digest}", reference=reference, config=_CONFIG, lowers=lowers)


def _identity(folder: Path) -> str:
    """Tell a folder that was replaced, or got or lost an entry at its top, from what it was.

    Changes further down are not looked for: that would mean reading the whole tree.
    """
    status = os.stat(folder)
    return f"{folder}\0{status.st_ino}\0{status.st_mtime_ns}"
