"""The images of one engine: what a reference means, and where its layers are."""

import contextlib
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.image import Image, ImageConfig, StoredImage

from stackr_engine import trash
from stackr_engine.image import layers, records, rootfs
from stackr_engine.image.blobs import Blobs
from stackr_engine.image.garbage import Garbage
from stackr_engine.image.layers import Layers
from stackr_engine.image.records import Records
from stackr_engine.image.reference import parse_reference
from stackr_engine.image.rootfs import RootfsImages
from stackr_engine.paths import Paths
from stackr_engine.state import State

if TYPE_CHECKING:
    from stackr_engine.image.loading import Loader
    from stackr_engine.image.ocireference import OciReferences
    from stackr_engine.image.registry.access import Access
    from stackr_engine.image.registry.arriving import Parts
    from stackr_engine.image.registry.pulling import Pulled
    from stackr_engine.image.registry.report import Report

_TABLES = (
    layers.SCHEMA,
    records.IMAGES_SCHEMA,
    records.NAMES_SCHEMA,
    records.ORIGINS_SCHEMA,
)
_OCI = "oci:"
_HINT = (
    "bring it with `stackr pull`, `stackr load ARCHIVE` or `stackr import FOLDER NAME`, or use "
    "rootfs:/ or rootfs:./folder"
)


Names = list[str]
Images = list[StoredImage]


class Removed(NamedTuple):
    """What became of images that were to be removed."""

    untagged: Names
    deleted: Names
    freed: int
    """Bytes."""


class ImageStore:
    """Images by reference, ready to run."""

    def __init__(self, paths: Paths, state: State):
        self._paths = paths
        self._folder = paths.state / "images"
        self._empty = self._folder / "empty"
        self._empty.mkdir(parents=True, exist_ok=True)
        _make_tables(state)
        self._blobs = Blobs(paths)
        self._layers = Layers(paths, state)
        self._records = Records(state)
        self._garbage = Garbage(self._blobs, self._layers, self._records)
        self._rootfs = RootfsImages(paths)
        self._ready: dict[str, tuple[int, Image]] = {}

    # What reads manifests and archives is imported when an image from elsewhere is used:
    # stacks that run on this machine's files do without the memory and the time.
    @cached_property
    def _loader(self) -> "Loader":
        from stackr_engine.image.loading import Loader

        return Loader(self._blobs, self._layers, self._records)

    @cached_property
    def _layouts(self) -> "OciReferences":
        from stackr_engine.image.ocireference import OciReferences

        return OciReferences(self._loader, self._blobs)

    @cached_property
    def _parts(self) -> "Parts":
        from stackr_engine.image.registry.arriving import Parts
        from stackr_engine.image.registry.download import Downloads

        downloads = Downloads(self._blobs)
        return Parts(self._blobs, self._layers, self._records, self._loader, downloads)

    def clean(self) -> None:
        """Finish what a killed process left half done; call it once, at the engine's start."""
        for entry in list(os.scandir(self._folder / "tmp")):
            trash.discard(self._paths, Path(entry.path))
        self._blobs.forget_partial()
        self._layers.clean()
        trash.resume(self._paths)
        self._sync_later()

    def resolve(self, reference: str, base_dir: Path) -> Image:
        """Return the image with its layers unpacked; relative folders are below `base_dir`."""
        if reference.startswith(rootfs.PREFIX):
            return self._rootfs.resolve(reference, base_dir)
        if reference.startswith(_OCI):
            with self._garbage.held():
                return self._layout(self._layouts.find(reference, base_dir), reference)
        return self._named(reference)

    def ready(self, image: Image) -> Image:
        """Return an image that was resolved before, made ready again, as after a reboot.

        A container that starts again runs what it was made from, whatever the name means by now.
        """
        if image.reference.startswith(rootfs.PREFIX):
            return self._rootfs.ready(image)
        if _are_there(image):
            return image
        with self._garbage.held():
            return self._image(self._records.find(image.id), image.reference)

    def get(self, reference: str) -> StoredImage:
        """Return what is known of an image by name, id or start of an id; raise NotFound."""
        return self._records.find(reference)

    def list(self) -> Images:
        """Return all images in the store, the newest first."""
        return self._records.all()

    def load(self, source: Path | BinaryIO) -> Names:
        """Take the images of an archive or an OCI layout; return their names, or ids."""
        with self._garbage.held():
            images = self._load(source)
        self._sync_later()
        return [name for image in images for name in image.names or (image.id,)]

    def pull(
        self, reference: str, access: "Access", report: "Report", platform: str = ""
    ) -> "Pulled":
        """Bring an image from its registry, unless it is here as the registry has it.

        Raises NotFound, RegistryError or one of its kinds, or BadArchive.
        """
        from stackr_engine.image.registry.pulling import Pull

        name = parse_reference(reference)
        with self._garbage.held():
            pulled = Pull(self._parts, access, name, platform, report).run()
        self._sync_later()
        return pulled

    def push(self, reference: str, access: "Access", report: "Report") -> str:
        """Send an image to the registry in its name; return the manifest's digest."""
        from stackr_engine.image.registry.pushing import Push

        name = parse_reference(reference)
        if name.digest:
            raise StackrError(f"{reference} has a digest", hint="push it by name:tag")
        image = self.get(str(name))
        with self._garbage.held():
            return Push(self._blobs, access, name, report).run(image)

    def origin(self, reference: str) -> records.Origin | None:
        """Return where an image was pulled from and when that was checked last, if it was."""
        return self._records.origin(self._records.name_of(reference))

    def import_(
        self,
        source: Path | BinaryIO,
        name: str,
        config: ImageConfig | None = None,
        comment: str = "imported",
    ) -> str:
        """Make an image of one layer from a folder or an archive of one; return its id."""
        from stackr_engine.image.importing import config_text, layer_of

        tag = (str(parse_reference(name)),) if name else ()
        with self._garbage.held():
            layer, diff_id = layer_of(self._blobs, source)
            text = config_text(config or ImageConfig(), diff_id, comment)
            image = self._loader.from_store(text, [layer], tag)
        self._sync_later()
        return image.id

    def save(self, references: Sequence[str]) -> Iterator[bytes]:
        """Give an archive of images under the given names, for `load`, Docker, Podman, skopeo."""
        names: defaultdict[str, Names] = defaultdict(list)
        for reference in references:
            names[self.get(reference).id] += filter(None, [self._records.name_of(reference)])
        images = [self.get(i).model_copy(update={"names": tuple(n)}) for i, n in names.items()]
        with self._garbage.held():
            from stackr_engine.image.saving import archive_of

            yield from archive_of(self._blobs, images)

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name."""
        name = parse_reference(target)
        if name.digest:
            raise StackrError(f"{target} has a digest", hint="a new name is written as name:tag")
        self._records.name(self.get(source).id, str(name))

    def remove(
        self, reference: str, in_use: Mapping[str, Sequence[str]] | None = None, force: bool = False
    ) -> Removed:
        """Take a name away; with the last name, or by id, delete the image.

        `in_use` names the containers of each image id. Raises Conflict where one would lose its
        image, or where an id has several names and `force` does not say that all may go.
        """
        image = self.get(reference)
        name = self._records.name_of(reference)
        if name and len(image.names) > 1:
            self._records.unname(name)
            return Removed([name], [], 0)
        _check_unused(image, in_use or {})
        if not name and len(image.names) > 1 and not force:
            raise Conflict(
                f"image {reference} has several names: {', '.join(image.names)}",
                hint="remove it by name, or with --force by all of them",
            )
        return self._delete([image])

    def prune(self, in_use: Mapping[str, Sequence[str]], unnamed_only: bool = True) -> Removed:
        """Delete images that no container uses, and what no image needs."""
        unused = [
            image
            for image in self.list()
            if image.id not in in_use and not (unnamed_only and image.names)
        ]
        removed = self._delete(unused)
        return removed._replace(freed=removed.freed + self._garbage.collect())

    def release(self) -> None:
        """Unmount what no container needs any more: call it when the last one is gone."""
        self._rootfs.release()

    def _delete(self, images: Sequence[StoredImage]) -> Removed:
        candidates = self._garbage.needed_by(images)
        for image in images:
            self._records.remove(image.id)
        self._layouts.forget()
        names = [name for image in images for name in image.names]
        freed = self._garbage.collect(candidates)
        return Removed(names, [image.id for image in images], freed)

    def _load(self, source: Path | BinaryIO) -> Images:
        from stackr_engine.image import archive

        return archive.load(self._loader, self._blobs, source)

    def _named(self, reference: str) -> Image:
        known = self._ready.get(reference)
        if known and known[0] == self._records.generation and _are_there(known[1]):
            return known[1]
        generation = self._records.generation
        try:
            stored = self._records.find(reference)
        except NotFound as error:
            raise NotFound(f"no image {reference}", hint=_HINT) from error
        image = self._image(stored, reference)
        self._ready[reference] = (generation, image)
        return image

    def _layout(self, stored: StoredImage, reference: str) -> Image:
        known = self._ready.get(f"{stored.id} {reference}")
        if known and _are_there(known[1]):
            return known[1]
        image = self._image(stored, reference)
        self._ready[f"{stored.id} {reference}"] = (0, image)
        return image

    def _image(self, stored: StoredImage, reference: str) -> Image:
        folders = self._loader.unpacked(stored)
        return Image(
            id=stored.id,
            reference=reference,
            config=stored.config,
            lowers=folders or (str(self._empty),),  # an overlay has to have one
            created=stored.created,
            size=stored.size,
        )

    def _sync_later(self) -> None:
        threading.Thread(target=self._sync, name="image-sync", daemon=True).start()

    def _sync(self) -> None:
        # The engine may close the database meanwhile: the next one finds what is left to do.
        with contextlib.suppress(sqlite3.ProgrammingError):
            self._layers.sync()


def _make_tables(state: State) -> None:
    with state.transaction() as database:
        for statement in _TABLES:
            database.execute(statement)


def _are_there(image: Image) -> bool:
    return all(os.path.isdir(folder) for folder in image.lowers)


def _check_unused(image: StoredImage, in_use: Mapping[str, Sequence[str]]) -> None:
    users = in_use.get(image.id, ())
    if users:
        raise Conflict(
            f"image {image.id[:19]} is used by {', '.join(users)}", hint="remove them first"
        )
