"""Archives that a command reads or writes: files of the user's, or the user's own descriptors."""

import io
import os
import secrets
import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from stackr_schemas.errors import NotFound, StackrError

from stackr.session import Session

_POLL = 0.5
"""Seconds until a read notices that the user wants to end."""


class SessionInput(io.RawIOBase):
    """The session's standard input; reading ends when the command is interrupted."""

    def __init__(self, session: Session):
        self._session = session

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raise Interrupted at the user's Ctrl-C."""
        while not select.select([self._session.stdin], [], [], _POLL)[0]:
            self._session.check()
        return os.read(self._session.stdin, size if size > 0 else 1 << 16)


@contextmanager
def open_input(session: Session, name: str | None) -> Iterator[Path | BinaryIO]:
    """Give the named file or folder, or standard input for none and for `-`."""
    if name and name != "-":
        path = Path(session.request.cwd) / name
        if not path.exists():
            raise NotFound(f"no file {name}", hint="check the path")
        yield path
        return
    if os.isatty(session.stdin):
        raise StackrError("no archive given", hint="name a file, or pipe one to standard input")
    yield cast(BinaryIO, SessionInput(session))


def write_output(session: Session, name: str | None, chunks: Iterable[bytes]) -> None:
    """Write to the named file, which appears whole or not at all, or to standard output."""
    if name:
        _write_file(Path(session.request.cwd) / name, chunks)
        return
    if session.is_terminal(session.stdout):
        raise StackrError(
            "an archive is not for a terminal", hint="use -o FILE, or redirect the output"
        )
    for chunk in chunks:
        session.check()
        _write(session.stdout.fileno(), chunk)


def _write_file(path: Path, chunks: Iterable[bytes]) -> None:
    if not path.parent.is_dir():
        raise NotFound(f"no folder {path.parent}", hint="make it first")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(fd: int, chunk: bytes) -> None:
    written = os.write(fd, chunk)
    while written < len(chunk):
        written += os.write(fd, chunk[written:])
