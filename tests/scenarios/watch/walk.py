"""Random file operations as people, editors and tools do them."""

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder: kind, mode and content by relative path."""
    found: dict[str, tuple[object, ...]] = {}
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.rglob("*")):
            if path.name in ("4913", ".x.swp") or path.name.endswith("~"):
                continue
            name, mode = str(path.relative_to(folder)), path.lstat().st_mode
            if path.is_symlink():
                found[name] = (os.readlink(path),)
            else:
                found[name] = (mode, path.read_bytes() if path.is_file() else b"")
    return found


class Walk:
    """Operations in one folder, by a random generator."""

    def __init__(self, folder: Path, generator: random.Random):
        self.folder = folder
        self.random = generator

    def step(self) -> None:
        """Do one thing; what cannot be done with what is there is nothing."""
        operations = (
            *(self._write, self._write, self._append, self._replace, self._rename, self._delete),
            *(self._make_folder, self._delete_folder, self._chmod, self._link),
        )
        with suppress(OSError):
            self.random.choice(operations)()

    def _any(self) -> Path:
        found = [self.folder, *self.folder.rglob("*")]
        return self.random.choice(found)

    def _new(self) -> Path:
        folder = self._any()
        while not folder.is_dir() or folder.is_symlink():
            folder = folder.parent
        return folder / self.random.choice("abcdefgh")

    def _text(self) -> str:
        return str(self.random.random()) * self.random.choice((0, 1, 1, 100))

    def _write(self) -> None:
        path = self._new()
        if not path.is_symlink():
            path.write_text(self._text())

    def _append(self) -> None:
        path = self._any()
        if path.is_file() and not path.is_symlink():
            with path.open("a") as stream:
                stream.write(self._text())

    def _replace(self) -> None:
        path = self._new()
        temporary = path.with_name(self.random.choice((".x.swp", "4913", f"{path.name}~", "tmp")))
        temporary.write_text(self._text())
        temporary.replace(path)

    def _rename(self) -> None:
        path = self._any()
        if path != self.folder:
            path.rename(self._new())

    def _delete(self) -> None:
        self._any().unlink()

    def _make_folder(self) -> None:
        path = self._new()
        path.mkdir()
        if self.random.random() < 0.5:
            (path / "deep/deeper").mkdir(parents=True)
            (path / "deep/deeper/file").write_text(self._text())

    def _delete_folder(self) -> None:
        path = self._any()
        if path != self.folder and not path.is_symlink():
            shutil.rmtree(path)

    def _chmod(self) -> None:
        path = self._any()
        if path != self.folder and not path.is_symlink():
            path.chmod(self.random.choice((0o644, 0o755, 0o600, 0o700)))

    def _link(self) -> None:
        self._new().symlink_to(self.random.choice(("a", "../b", "/etc/passwd", "nowhere")))
