"""Deleting what no image needs: blobs and unpacked layers."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.layers import Layers
from stackr_engine.image.records import Records


class Needed(NamedTuple):
    """What some images consist of."""

    blobs: set[str]
    chains: set[str]


class Garbage:
    """Deletes only while nobody loads: what is being loaded is not recorded yet."""

    def __init__(self, blobs: Blobs, layers: Layers, records: Records):
        self._blobs = blobs
        self._layers = layers
        self._records = records
        self._lock = threading.Lock()
        self._loading = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is deleted while the block runs."""
        with self._lock:
            self._loading += 1
        try:
            yield
        finally:
            with self._lock:
                self._loading -= 1

    def needed_by(self, images: Iterable[StoredImage]) -> Needed:
        """Tell what some images consist of."""
        from stackr_engine.image.imageconfig import chain_ids
        from stackr_engine.image.manifest import Manifest, parse

        needed = Needed(set(), set())
        for image in images:
            needed.blobs.update((image.id, image.manifest))
            needed.chains.update(chain_ids(image.diff_ids))
            if self._blobs.has(image.manifest):
                text = self._blobs.read(image.manifest)
                layers = parse(Manifest, text, image.manifest).layers
                needed.blobs.update(layer.digest for layer in layers)
        return needed

    def collect(self, candidates: Needed | None = None) -> int:
        """Delete what no image needs, of the candidates or of everything; return bytes freed.

        While something is being loaded nothing is deleted: the next `prune` finds it.
        """
        with self._lock:
            if self._loading:
                return 0
            kept = self.needed_by(self._records.all())
            found = candidates or Needed(set(self._blobs), set(self._layers.chains()))
            freed = 0 if candidates else self._blobs.forget_partial(older_than=0)
            freed += sum(self._layers.remove(chain) for chain in found.chains - kept.chains)
            return freed + sum(self._blobs.remove(blob) for blob in found.blobs - kept.blobs)
