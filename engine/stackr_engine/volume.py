"""Volumes: folders that outlive containers, filled from the image at their first use.

The folder is the truth: `volumes/NAME/{volume.json,_data}` is made beside and renamed in, and
renamed into the trash at its end, so that a volume exists whole or not at all, whoever is killed.
"""

import contextlib
import os
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from stackr_schemas.errors import Conflict, NotFound, StackrError
from stackr_schemas.volume import Volume

from stackr_engine import trash
from stackr_engine.image.layerview import LayerView
from stackr_engine.paths import Paths
from stackr_engine.volume_copy import TreeCopy, copy_attributes

# Longer names than Docker's pattern allows cannot be file names.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
ANONYMOUS = "com.docker.volume.anonymous"
"""The label of a volume that was made without a name for one container."""
_COPYING = "_copying"
_COPIED = "_copied"


class Volumes:
    """The volumes of one engine."""

    def __init__(self, paths: Paths):
        self._paths = paths
        self._folder = paths.state / "volumes"
        self._filling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def clean(self) -> None:
        """Finish what a killed process left half done; call it once, at the engine's start."""
        for entry in list(self._folder.iterdir()):
            if entry.name.startswith("."):
                trash.discard(self._paths, entry)
                continue
            trash.discard(self._paths, entry / _COPYING)
            if (entry / _COPIED).is_dir():
                self._move_in(entry)

    def create(
        self,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or raise Conflict; without a name it gets 64 hexadecimal digits."""
        _refuse_driver(driver, options or {})
        anonymous = {} if name else {ANONYMOUS: ""}
        name = name or secrets.token_hex(32)
        _check_name(name)
        volume = Volume(name=name, created=time.time(), labels={**(labels or {}), **anonymous})
        if not self._write(volume):
            raise Conflict(f"volume {name} exists already")
        return volume

    def ensure(self, name: str, labels: Mapping[str, str] | None = None) -> Volume:
        """Return the volume of that name, made if it does not exist."""
        try:
            return self.get(name)
        except NotFound:
            pass
        try:
            return self.create(name, labels)
        except Conflict:
            return self.get(name)  # another thread was quicker

    def get(self, name: str) -> Volume:
        """Return one volume, or raise NotFound."""
        _check_name(name)
        file = self._folder / name / "volume.json"
        try:
            return Volume.model_validate_json(file.read_bytes())
        except ValidationError:  # cut short by a power cut: the content is what counts
            return Volume(name=name, created=file.stat().st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            hint = "`stackr up` makes the volumes that a stack file declares"
            raise NotFound(f"no volume {name}", hint=hint) from None

    def list(self) -> list[Volume]:
        """Return all volumes in the order of their names."""
        names = sorted(entry.name for entry in os.scandir(self._folder))
        found = []
        for name in names:
            if not name.startswith("."):
                with contextlib.suppress(NotFound):  # removed meanwhile
                    found.append(self.get(name))
        return found

    def path(self, name: str) -> Path:
        """Return the folder with the volume's content."""
        return self._folder / name / "_data"

    def remove(self, name: str, used_by: Iterable[str] = ()) -> None:
        """Remove a volume and its content, unless containers named in `used_by` use it."""
        users = ", ".join(used_by)
        if users:
            raise Conflict(f"volume {name} is in use by {users}", hint="remove them first")
        self.get(name)
        trash.discard(self._paths, self._folder / name)

    def copy_up(self, name: str, lowers: tuple[str, ...], target: str) -> bool:
        """Fill an empty volume with what the image `lowers` have at the path `target`.

        Tells whether something was copied. Links are followed as a process in the image would.
        """
        with self._filling[name]:
            return self._copy_up(self._folder / name, lowers, target)

    def _copy_up(self, folder: Path, lowers: tuple[str, ...], target: str) -> bool:
        if (folder / _COPIED).is_dir():
            self._move_in(folder)
        if os.listdir(folder / "_data"):
            return False
        view = LayerView(lowers)
        try:
            source = view.lookup(target)
            if source is None or not source.is_folder:
                return False
            trash.discard(self._paths, folder / _COPYING)
            (folder / _COPYING).mkdir(mode=0o700)
            TreeCopy(view).copy_content(source, str(folder / _COPYING))
            # From here on the copy is complete: whoever comes next moves in what is left of it.
            os.rename(folder / _COPYING, folder / _COPIED)
            self._move_in(folder)
        finally:
            view.close()
        return True

    def _move_in(self, folder: Path) -> None:
        """Move the copy into `_data`, which itself stays: containers may have it mounted."""
        copied, data = folder / _COPIED, folder / "_data"
        for entry in list(os.scandir(copied)):
            if not os.path.lexists(data / entry.name):
                os.rename(entry.path, data / entry.name)
        view = LayerView((str(copied),))
        try:
            copy_attributes(view.root, str(data))
        finally:
            view.close()
        trash.discard(self._paths, copied)

    def _write(self, volume: Volume) -> bool:
        """Make the volume's folder; False when there is one of its name already."""
        made = self._folder / f".{secrets.token_hex(8)}"
        (made / "_data").mkdir(parents=True)
        made.chmod(0o701)  # a user in a container reaches _data through the mount, not from here
        (made / "_data").chmod(0o755)
        (made / "volume.json").write_text(volume.model_dump_json())
        try:
            os.rename(made, self._folder / volume.name)
        except OSError:
            trash.discard(self._paths, made)
            if (self._folder / volume.name / "volume.json").exists():
                return False
            raise
        return True


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise StackrError(
            f'"{name}" cannot be the name of a volume',
            hint="use letters, digits, and _ . - after the first of at least two characters; "
            "for a folder of the host write ./folder or /folder",
        )


def _refuse_driver(driver: str, options: Mapping[str, str]) -> None:
    if driver not in ("", "local"):
        raise StackrError(f"volume driver {driver} is not supported", hint="use driver: local")
    if options:
        names = ", ".join(options)
        raise StackrError(
            f"volume driver_opts are not supported: {names}", hint="use a bind mount of the folder"
        )
