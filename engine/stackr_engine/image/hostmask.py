"""What a container of this machine must not see: an overlay layer that hides it."""

import os
import shutil
import stat
from pathlib import Path

SHOWN_EMPTY = {"/root": 0o700, "/home": 0o755, "/run": 0o755, "/srv": 0o755}
SHOWN_EMPTY |= {"/tmp": 0o1777, "/var/tmp": 0o1777}
EMPTIED = (
    "/etc/ssl/private",
    "/etc/kubernetes",
    "/var/backups",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
)
REMOVED = ("/etc/shadow-", "/etc/gshadow-", "/etc/ssh/ssh_host_*_key")
WITHOUT_PASSWORDS = ("/etc/shadow", "/etc/gshadow")

_WATCHED = ("/etc", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl", "/var", "/var/lib")
"""What changes when there is more to hide, or less."""


def fingerprint(root: Path) -> str:
    """Tell whether a mask that was made before still hides what is there now."""
    times = []
    for name in _WATCHED:
        try:
            times.append(os.stat(root / name.lstrip("/")).st_mtime_ns)
        except FileNotFoundError:
            times.append(0)
    return repr(times)


class HostMask:
    """One layer under construction in the folder `files`, to be put over `root`."""

    def __init__(self, files: Path, root: Path):
        self._files = files
        self._root = root
        self._hidden: set[Path] = set()

    def fill(self, private: tuple[str, ...]) -> None:
        """Hide the host's private folders, and those named in `private`."""
        self._files.mkdir(mode=0o755)
        for name, mode in SHOWN_EMPTY.items():
            self._empty(self._on_host(name), mode)
        for name in EMPTIED:
            if self._on_host(name).is_dir():
                self._empty(self._on_host(name), 0o700)
        for name in private:
            self._empty(self._on_host(name), 0o700)
        for pattern in REMOVED:
            for path in self._root.glob(pattern.lstrip("/")):
                os.mknod(self._place(path), stat.S_IFCHR, os.makedev(0, 0))
        for name in WITHOUT_PASSWORDS:
            if self._on_host(name).is_file():
                self._lock_passwords(self._on_host(name))

    def _on_host(self, name: str) -> Path:
        return self._root / name.lstrip("/")

    def _empty(self, path: Path, mode: int) -> None:
        for folder in {path, path.resolve()}:  # behind a link the folder has a second name
            if not folder.is_relative_to(self._root) or self._is_hidden(folder):
                continue
            place = self._place(folder)
            place.mkdir()
            place.chmod(mode)
            os.setxattr(place, "trusted.overlay.opaque", b"y")
            self._hidden.add(place)

    def _is_hidden(self, path: Path) -> bool:
        place = self._files / path.relative_to(self._root)
        return any(folder in self._hidden for folder in (place, *place.parents))

    def _place(self, path: Path) -> Path:
        """Return the path's place in the mask, its parents made to look like the host's."""
        relative = path.parent.resolve().relative_to(self._root)
        for folder in (*reversed(relative.parents), relative):
            place = self._files / folder
            if place.is_dir():
                continue
            place.mkdir()
            if (self._root / folder).is_dir():
                _copy_owner_and_mode(self._root / folder, place)
        return self._files / relative / path.name

    def _lock_passwords(self, file: Path) -> None:
        rows = [line.split(b":") for line in file.read_bytes().splitlines()]
        locked = [b":".join([row[0], b"*", *row[2:]]) for row in rows if len(row) > 2]
        place = self._place(file)
        place.touch(mode=0o600)
        place.write_bytes(b"".join(line + b"\n" for line in locked))
        _copy_owner_and_mode(file, place)


def _copy_owner_and_mode(source: Path, target: Path) -> None:
    owner = source.stat()
    os.chown(target, owner.st_uid, owner.st_gid)
    shutil.copystat(source, target)
