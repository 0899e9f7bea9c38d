"""What was copied into one container, in a file of lines in the container's folder.

An entry is noted as unknown before it is touched and by its stamp afterwards: whoever finds the
file after a kill copies again what is unknown. The last line of an entry counts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stackr.watch.manifest import Kind, Stamp

FILE = "sync.jsonl"
UNKNOWN = Stamp(Kind.FILE, -1)
"""Equal to nothing that can be found."""


class Record:
    """The file of one container, for all the rules of its service."""

    def __init__(self, file: Path):
        self._file = file
        self.manifests: dict[str, dict[str, Stamp]] = {}
        """Key of a rule → what its target was given; a rule that was never applied is missing."""
        for key, path, value in _lines(file):
            self._note(key, path, None if value is None else Stamp(Kind(value[0]), *value[1:]))
        self._compact()
        self._stream = file.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def begin(self, key: str) -> dict[str, Stamp]:
        """Return the manifest of a rule, made if it is missing."""
        if key not in self.manifests:
            self.note(key, {"": None})
        return self.manifests[key]

    def note(self, key: str, entries: Mapping[str, Stamp | None]) -> None:
        """Note stamps, None for what is gone; in the kernel's hands when this returns."""
        for path, stamp in entries.items():
            self._note(key, path, stamp)
        self._stream.writelines(_line(key, path, stamp) for path, stamp in entries.items())
        self._stream.flush()

    def _note(self, key: str, path: str, stamp: Stamp | None) -> None:
        manifest = self.manifests.setdefault(key, {})
        if stamp is None:
            manifest.pop(path, None)
        else:
            manifest[path] = stamp

    def _compact(self) -> None:
        """Write the file anew with one line an entry, whole and renamed in."""
        new = self._file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as stream:
            for key, manifest in self.manifests.items():
                stream.write(_line(key, "", None))
                stream.writelines(_line(key, path, stamp) for path, stamp in manifest.items())
        new.replace(self._file)


def _line(key: str, path: str, stamp: Stamp | None) -> str:
    value = stamp and [
        stamp.kind.value,
        *(stamp.mode, stamp.size, stamp.changed, stamp.inode, stamp.link),
    ]
    return json.dumps([key, path, value]) + "\n"


def _lines(file: Path) -> Iterator[tuple[str, str, list[Any] | None]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return  # its writer was killed
