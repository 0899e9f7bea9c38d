"""Pushing one image: the layers that the registry has not, the config, the manifest at the end."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from io import FileIO
from typing import BinaryIO, cast

from stackr_schemas.errors import StackrError
from stackr_schemas.image import StoredImage

from stackr_engine.image.blobs import Blobs
from stackr_engine.image.manifest import Descriptor, Manifest, parse
from stackr_engine.image.reference import Reference, parse_reference
from stackr_engine.image.registry.access import Access
from stackr_engine.image.registry.errors import Unreachable
from stackr_engine.image.registry.report import LayerNews, Report
from stackr_engine.image.registry.repository import Repository

_PARALLEL = 4
_ATTEMPTS = 3
_POLL = 0.2
_MAX_OTHERS = 3
_PIECE = 1 << 18
"""Bytes that are sent at a time; http.client's own pieces are small."""
_TELL = 0.1
"""Seconds between two news of a layer."""


class Push:
    """One image for one user."""

    def __init__(self, blobs: Blobs, access: Access, reference: Reference, report: Report):
        self._blobs = blobs
        self._access = access
        self._reference = reference
        self._report = report
        self._stopped = threading.Event()

    def run(self, image: StoredImage) -> str:
        """Send the image under its name; return the manifest's digest."""
        text = self._blobs.read(image.manifest)
        manifest = parse(Manifest, text, image.manifest)
        others = self._others(image)
        target = self._access.target(self._reference, others)
        layers = list({layer.digest: layer for layer in manifest.layers}.values())
        for layer in layers:
            self._report(LayerNews(layer.digest, "Preparing"))
        self._send_all(target, layers, others)
        self._send(target, manifest.config, others, lambda news: None)
        target.put_manifest(self._reference.tag, text, manifest.media_type)
        return image.manifest

    def _others(self, image: StoredImage) -> tuple[str, ...]:
        """Name the repositories of the same registry that may have the layers already."""
        names = [parse_reference(name) for name in image.names if not name.startswith("oci:")]
        own = self._reference
        found = [name.repository for name in names if name.registry == own.registry]
        return tuple(sorted({*found} - {own.repository}))[:_MAX_OTHERS]

    def _send_all(
        self, target: Repository, layers: list[Descriptor], others: tuple[str, ...]
    ) -> None:
        pool = ThreadPoolExecutor(_PARALLEL, "upload")
        try:
            sent = [pool.submit(self._send, target, one, others, self._report) for one in layers]
            self._await(sent)
        except BaseException:
            self._stopped.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _await(self, futures: list[Future[None]]) -> None:
        pending = set(futures)
        while pending:
            self._access.check()
            done, pending = wait(pending, timeout=_POLL, return_when="FIRST_COMPLETED")
            for one in done:
                one.result()

    def _send(
        self, target: Repository, blob: Descriptor, others: tuple[str, ...], report: Report
    ) -> None:
        if target.has_blob(blob.digest):
            report(LayerNews(blob.digest, "Layer already exists", is_done=True))
            return
        for attempt in range(1, _ATTEMPTS + 1):
            location = self._mounted_or_location(target, blob, others, report)
            if not location:
                return
            try:
                target.upload(location, blob.digest, blob.size, lambda: self._opened(blob, report))
            except Unreachable:
                if attempt == _ATTEMPTS:
                    raise
                self._access.transport.wait(attempt)
            else:
                report(LayerNews(blob.digest, "Pushed", is_done=True))
                return

    def _mounted_or_location(
        self, target: Repository, blob: Descriptor, others: tuple[str, ...], report: Report
    ) -> str:
        location = ""
        for source in others:
            location = target.mount(blob.digest, source)
            if not location:
                report(LayerNews(blob.digest, f"Mounted from {source}", is_done=True))
                return ""
        return location or target.mount(blob.digest)

    def _opened(self, blob: Descriptor, report: Report) -> BinaryIO:
        path = str(self._blobs.path(blob.digest))
        return cast(BinaryIO, Outgoing(path, blob, report, self._stopped))


class Outgoing(FileIO):
    """A blob that tells how much of it was read, and breaks off when the push is given up."""

    def __init__(self, path: str, blob: Descriptor, report: Report, stopped: threading.Event):
        super().__init__(path)
        self._blob = blob
        self._report = report
        self._stopped = stopped
        self._told = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file."""
        if self._stopped.is_set():
            raise StackrError("the push was given up")
        now = time.monotonic()
        if now - self._told > _TELL:
            self._told = now
            self._report(LayerNews(self._blob.digest, "Pushing", self.tell(), self._blob.size))
        return super().read(_PIECE if size is None or size < 0 else max(size, _PIECE)) or b""
