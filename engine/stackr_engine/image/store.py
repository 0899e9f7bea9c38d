"""The images of one engine: what a reference means, and where its layers are."""

from pathlib import Path

from stackr_schemas.errors import NotFound
from stackr_schemas.image import Image

from stackr_engine.image import rootfs
from stackr_engine.image.rootfs import RootfsImages
from stackr_engine.paths import Paths
from stackr_engine.state import State

_HINT = (
    "bring it with `stackr load ARCHIVE` or `stackr import FOLDER NAME`, or use rootfs:/ or "
    "rootfs:./folder; pulling from a registry is not there yet"
)


class ImageStore:
    """Images by reference, ready to run."""

    def __init__(self, paths: Paths, state: State):
        self._paths = paths
        self._state = state
        self._rootfs = RootfsImages(paths)

    def resolve(self, reference: str, base_dir: Path) -> Image:
        """Return the image with its layers unpacked; relative folders are below `base_dir`."""
        if reference.startswith(rootfs.PREFIX):
            return self._rootfs.resolve(reference, base_dir)
        raise NotFound(f"no image {reference}", hint=_HINT)

    def release(self) -> None:
        """Unmount what no container needs any more: call it when the last one is gone."""
        self._rootfs.release()
