"""Unpacked layers, one folder each, shared by all images that have the same layers below.

Folder names are short, as a container's mount has to name all of its layers in one page of
options. A layer is unpacked beside and renamed in; its row is written before that, so a row without
folder is a layer that was never finished, and a folder without row cannot be.
"""

import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stackr_engine import trash
from stackr_engine.image.syscalls import syncfs
from stackr_engine.paths import Paths
from stackr_engine.state import State

SCHEMA = """CREATE TABLE IF NOT EXISTS image_layers (
    chain TEXT PRIMARY KEY,
    folder TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    boot TEXT NOT NULL -- in which it was unpacked, or empty once it is safely on the disk
)"""
_POLL = 0.2
"""Seconds until a wait notices that its user wants to end."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class Layers:
    """The folders of unpacked layers, by chain id."""

    def __init__(self, paths: Paths, state: State):
        self._paths = paths
        self._state = state
        self._folder = paths.state / "images" / "l"
        self._temporary = paths.state / "images" / "tmp"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._temporary.mkdir(exist_ok=True)
        self._unpacking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def find(self, chain: str) -> str | None:
        """Return the folder of an unpacked layer."""
        rows = self._state.query("SELECT folder FROM image_layers WHERE chain = ?", chain)
        path = f"{self._folder}/{rows[0]['folder']}" if rows else ""
        return path if path and os.path.isdir(path) else None

    def ensure(
        self,
        chain: str,
        diff_id: str,
        below: tuple[str, ...],
        open_blob: Callable[[], BinaryIO],
        check: Callable[[], None] = lambda: None,
    ) -> str:
        """Return the layer's folder, unpacked now if need be; `below` are the folders under it.

        Whoever else wants the same layer meanwhile waits, and finds it done; `check` may end that
        wait by raising.
        """
        with _held(self._unpacking[chain], check):
            found = self.find(chain)
            if found is not None:
                return found
            from stackr_engine.image.unpacking import unpack  # most starts unpack nothing

            temporary = self._temporary / f"layer-{secrets.token_hex(8)}"
            temporary.mkdir()
            temporary.chmod(0o755)  # whatever the umask is
            try:
                with open_blob() as blob:
                    size = unpack(blob, str(temporary), below, diff_id)
                return self._keep(chain, temporary, size)
            finally:
                trash.discard(self._paths, temporary)

    def size(self, chains: Iterable[str]) -> int:
        """Return the bytes of the files in these layers."""
        marks = ",".join("?" * len(list(chains)))
        sql = f"SELECT coalesce(sum(size), 0) AS size FROM image_layers WHERE chain IN ({marks})"
        return int(self._state.query(sql, *chains)[0]["size"])

    def remove(self, chain: str) -> int:
        """Delete a layer and return the bytes that this frees."""
        rows = self._state.query("SELECT folder, size FROM image_layers WHERE chain = ?", chain)
        for row in rows:
            trash.discard(self._paths, self._folder / row["folder"])
        with self._state.transaction() as database:
            database.execute("DELETE FROM image_layers WHERE chain = ?", (chain,))
        return sum(row["size"] for row in rows)

    def chains(self) -> list[str]:
        """Return the chain ids of all unpacked layers."""
        return [row["chain"] for row in self._state.query("SELECT chain FROM image_layers")]

    def clean(self) -> None:
        """Forget what a killed process or a power cut left unfinished; once, at the start."""
        rows = self._state.query("SELECT folder, boot FROM image_layers")
        kept = {row["folder"] for row in rows if row["boot"] in ("", self._boot)}
        for name in os.listdir(self._folder):
            if name not in kept:
                trash.discard(self._paths, self._folder / name)

    def sync(self) -> None:
        """Write new layers to the disk: until then they do not survive a power cut."""
        sql = "SELECT chain FROM image_layers WHERE boot != ''"
        chains = [row["chain"] for row in self._state.query(sql)]
        if not chains:
            return
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            syncfs(fd)
        finally:
            os.close(fd)
        with self._state.transaction() as database:
            rows = [(chain,) for chain in chains]
            database.executemany("UPDATE image_layers SET boot = '' WHERE chain = ?", rows)

    def _keep(self, chain: str, temporary: Path, size: int) -> str:
        with self._state.transaction() as database:
            database.execute(
                "INSERT INTO image_layers VALUES (?, ?, ?, ?) "
                "ON CONFLICT (chain) DO UPDATE SET boot = ?4",
                (chain, _new_name(), size, self._boot),
            )
        # A layer that is unpacked again gets its old name: containers remember it.
        [row] = self._state.query("SELECT folder FROM image_layers WHERE chain = ?", chain)
        name = row["folder"]
        os.rename(temporary, self._folder / name)
        return f"{self._folder}/{name}"


@contextmanager
def _held(lock: threading.Lock, check: Callable[[], None]) -> Iterator[None]:
    while not lock.acquire(timeout=_POLL):
        check()
    try:
        yield
    finally:
        lock.release()


def _new_name() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(8))
