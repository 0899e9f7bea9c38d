"""The layers of one image on their way: downloaded at once, unpacked in their order meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import BinaryIO, cast

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.imageconfig import chain_ids
from stackr_engine.image.layers import Layers
from stackr_engine.image.loading import Loader
from stackr_engine.image.manifest import Descriptor, Manifest
from stackr_engine.image.records import Records
from stackr_engine.image.registry.download import Download, Downloads, Following
from stackr_engine.image.registry.report import LayerNews, Report


@dataclass(frozen=True)
class Parts:
    """Where an image goes in the store."""

    blobs: Blobs
    layers: Layers
    records: Records
    loader: Loader
    downloads: Downloads


class Arriving:
    """What one pull waits for; leaving the `with` block gives up what has not come."""

    def __init__(self, parts: Parts, check: Callable[[], None], report: Report):
        self._parts = parts
        self._check = check
        self._report = report
        self._downloads: dict[str, Download] = {}
        self._left = ExitStack()

    def __enter__(self) -> "Arriving":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.close()

    def begin(
        self, layers: Sequence[Descriptor], fetch: Callable[[str, int], Iterator[bytes]]
    ) -> None:
        """Begin to download the layers that are not in the store, the lowest first."""
        for layer in layers:
            if layer.digest in self._downloads or self._parts.blobs.has(layer.digest):
                continue
            self._report(LayerNews(layer.digest, "Pulling fs layer"))
            downloads = self._parts.downloads
            one = downloads.join(layer.digest, layer.size, partial(fetch, layer.digest))
            self._left.callback(downloads.leave, one)
            self._left.callback(one.watch(self._report))
            self._downloads[layer.digest] = one

    def unpack(self, manifest: Manifest, diff_ids: tuple[str, ...]) -> None:
        """Unpack layer after layer, each as its bytes come."""
        below: tuple[str, ...] = ()
        rows = zip(chain_ids(diff_ids), diff_ids, manifest.layers, strict=True)
        for chain, diff_id, layer in rows:
            opened = partial(self._open, layer.digest)
            folder = self._parts.layers.ensure(chain, diff_id, below, opened, self._check)
            below = (folder, *below)
            if layer.digest in self._downloads:
                self._downloads[layer.digest].wait(self._check)
            is_new = layer.digest in self._downloads
            done = "Pull complete" if is_new else "Already exists"
            self._report(LayerNews(layer.digest, done, is_done=True))

    def _open(self, digest: str) -> BinaryIO:
        if digest not in self._downloads:
            return self._parts.blobs.open(digest)
        return cast(BinaryIO, Following(self._downloads[digest], self._parts.blobs, self._check))
