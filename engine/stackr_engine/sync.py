"""Writing files into a container, running or not, from outside and with no help from inside.

Every path is resolved by the kernel inside the container's root (openat2(2)); below the target no
symbolic link is followed at all. Files appear whole: they are written elsewhere and renamed.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, assert_never

from stackr_schemas.container import BindMount, TmpfsMount, VolumeMount
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr_engine.bootstrap.config import UPPER, WORK
from stackr_engine.bootstrap.process import user_spec
from stackr_engine.launch import volumes
from stackr_engine.spawn import users
from stackr_engine.spawn.adopt import is_ended
from stackr_engine.spawn.inside import make_inside
from stackr_engine.spawn.launch import make_layers
from stackr_engine.spawn.mounts import Options, new_filesystem
from stackr_engine.spawn.request import Overlay
from stackr_engine.spawn.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from stackr_engine.trash import Deletion

if TYPE_CHECKING:
    from stackr_engine.engine import Engine

STAGED = ".stackr-sync~"
"""What a file is called until it is whole."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BELOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_MOST_OPEN = 64
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Owner:
    """Whom written files belong to."""

    uid: int = 0
    gid: int = 0


class Tree:
    """One folder of a container; paths are relative to it and never leave it. Close it after use.

    Whatever stands where something else belongs is removed first.
    """

    def __init__(self, target: int, owner: Owner):
        self._target = target
        self._owner = owner
        self._folders: dict[str, int] = {}

    def close(self) -> None:
        """Close every descriptor."""
        self._forget()
        os.close(self._target)

    def write_file(self, path: str, source: str) -> os.stat_result:
        """Copy a regular file with its mode and time; return its status when it was opened.

        Raises FileNotFoundError where the source is gone, or is no regular file any more.
        """
        fd = _open_source(source)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "no regular file any more", source)
            self._stage(fd, status)
            self._put(path)
        finally:
            os.close(fd)
        return status

    def write_link(self, path: str, text: str) -> None:
        """Make a symbolic link that says `text`, wherever that leads."""
        self._unstage()
        os.symlink(text, STAGED, dir_fd=self._target)
        owner = self._owner.uid, self._owner.gid
        os.chown(STAGED, *owner, dir_fd=self._target, follow_symlinks=False)
        self._put(path)

    def make_folder(self, path: str, mode: int) -> None:
        """Make a folder, or give the one that is there this mode."""
        fd = self._open_folder(path)
        if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
            os.fchmod(fd, mode)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it; never what is mounted in it."""
        above, _, name = path.rpartition("/")
        try:
            parent = self._open_existing(above)
            is_folder = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if error.errno == errno.ELOOP:
                return  # a link stands there: what it leads to is not ours
            raise
        if is_folder:
            self._forget(path)
            Deletion(parent).delete(os.fsencode(name))
        else:
            os.unlink(name, dir_fd=parent)

    def _place(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self._open_folder(above), name

    def _open_folder(self, path: str) -> int:
        """Open a folder below the target, making what is missing of it."""
        try:
            return self._open_existing(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
        above, _, name = path.rpartition("/")
        parent = self._open_folder(above)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chown(name, self._owner.uid, self._owner.gid, dir_fd=parent, follow_symlinks=False)
        return self._open_existing(path)

    def _open_existing(self, path: str) -> int:
        if not path:
            return self._target
        found = self._folders.get(path)
        if found is None:
            if len(self._folders) >= _MOST_OPEN:
                self._forget()
            found = self._folders[path] = openat2(self._target, path, _FOLDER, _BELOW)
        return found

    def _forget(self, path: str = "") -> None:
        """Close the folders at and below a path, all without one."""
        for other in [o for o in self._folders if not path or f"{o}/".startswith(f"{path}/")]:
            os.close(self._folders.pop(other))

    def _stage(self, source: int, status: os.stat_result) -> None:
        try:
            copy = os.open(STAGED, _NEW, 0o600, dir_fd=self._target)
        except FileExistsError:
            self._unstage()
            copy = os.open(STAGED, _NEW, 0o600, dir_fd=self._target)
        try:
            while os.sendfile(copy, source, None, _CHUNK):
                pass
            os.fchown(copy, self._owner.uid, self._owner.gid)
            os.fchmod(copy, stat.S_IMODE(status.st_mode) & 0o1777)
            os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(copy)

    def _unstage(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(STAGED, dir_fd=self._target)

    def _put(self, path: str) -> None:
        """Rename the staged entry to where it belongs."""
        try:
            parent, name = self._place(path)
            try:
                os.rename(STAGED, name, src_dir_fd=self._target, dst_dir_fd=parent)
            except IsADirectoryError:
                self.remove(path)
                os.rename(STAGED, name, src_dir_fd=self._target, dst_dir_fd=parent)
        except OSError:
            self._unstage()
            raise


def _open_source(path: str) -> int:
    try:
        return os.open(path, _READ)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENXIO):  # replaced meanwhile
            raise FileNotFoundError(errno.ENOENT, "no regular file any more", path) from None
        raise


def user_of(state: ContainerState, root: int) -> Owner:
    """Return who the container runs as, by its own passwd file."""
    try:
        user = users.look_up(root, user_spec(state.spec, state.image), [])
    except users.Unknown as error:
        raise StackrError(f"container {state.name}: {error}") from None
    return Owner(user.uid, user.gid)


@contextmanager
def open_tree(engine: "Engine", container_id: str, target: str) -> Iterator[Tree]:
    """Open a folder of a container for writing, making it if it is missing.

    The container cannot be started, stopped or removed meanwhile.
    """
    live = engine.live(container_id)
    with live.lock:
        state = live.state
        root = _open_root(engine, state)
        try:
            owner = user_of(state, root)
            folder = _open_target(engine, state, root, target)
        finally:
            os.close(root)
        tree = Tree(folder, owner)
        try:
            yield tree
        finally:
            tree.close()


def _open_root(engine: "Engine", state: ContainerState) -> int:
    """Open the container's root: as its first process sees it, or as it will at its start."""
    process = engine.live(state.id).process
    if process is None:
        return _mount_stopped(engine, state)
    root = os.open(f"/proc/{process.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if is_ended(process.init_pidfd):  # the number may be another process's by now
        os.close(root)
        raise ProcessLookupError(errno.ESRCH, "the container ended just now", state.name)
    return root


def _mount_stopped(engine: "Engine", state: ContainerState) -> int:
    """Mount the container's overlay where nobody else sees it; gone with its descriptor."""
    folder = engine.paths.container(state.id)
    overlay = Overlay(
        engine.images.ready(state.image).lowers, str(folder / UPPER), str(folder / WORK)
    )
    make_layers(overlay)
    options = Options([])
    options.data = [("index", "off"), *(("lowerdir+", lower) for lower in overlay.lowers)]
    options.data += [("upperdir", overlay.upper), ("workdir", overlay.work)]
    try:
        return new_filesystem("overlay", "overlay", options)
    except OSError as error:
        raise StackrError(
            f"container {state.name} does not run, and its files cannot be reached: {error}",
            hint="what changed is copied when it starts",
        ) from error


def _open_target(engine: "Engine", state: ContainerState, root: int, target: str) -> int:
    if engine.live(state.id).process is None:
        for mountpoint, folder in sorted(_mounted(engine, state).items(), reverse=True):
            rest = below(target, mountpoint)
            if rest is not None and folder is None:
                raise StackrError(f"{target} of {state.name} is in memory, and it does not run")
            if rest is not None and folder is not None:
                return _open_in_volume(folder, rest)
    return _open_or_make(root, target)


def _mounted(engine: "Engine", state: ContainerState) -> dict[str, str | None]:
    """Return the host's folder of each mount by its target, None for what is in memory."""
    found: dict[str, str | None] = dict(volumes(engine, state))
    for mount in state.spec.mounts:
        match mount:
            case BindMount(source=source, target=target):
                found[target] = source
            case TmpfsMount(target=target):
                found[target] = None
            case VolumeMount():
                pass
            case _:
                assert_never(mount)
    return found


def _open_in_volume(folder: str, rest: str) -> int:
    volume = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open_or_make(volume, f"/{rest}")
    finally:
        os.close(volume)


def _open_or_make(root: int, path: str) -> int:
    found = make_inside(root, path, is_folder=True)
    try:
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(found)


def below(path: str, folder: str) -> str | None:
    """Return what of a path follows a folder's, "" for the folder itself; None: it is not below."""
    parts, start = PurePosixPath(path).parts, PurePosixPath(folder).parts
    return "/".join(parts[len(start) :]) if parts[: len(start)] == start else None
