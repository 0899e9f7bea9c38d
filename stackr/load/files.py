"""The seam through which loading reads files."""

import os
from pathlib import Path
from typing import Protocol

from stackr_schemas.errors import StackrError

LARGEST = 16 * 1024 * 1024


class Files(Protocol):
    """What loading asks a file system."""

    def read(self, path: str) -> str:
        """Give a file's text; raises StackrError."""

    def is_file(self, path: str) -> bool:
        """Tell whether something that is not a folder is there."""

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""

    def real(self, path: str) -> str:
        """Follow symbolic links."""


class Disk:
    """The file system of this host."""

    def read(self, path: str) -> str:
        """Give a file's text; raises StackrError."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise StackrError(f"{path} is larger than {LARGEST >> 20} MiB")
            return data.decode()
        except UnicodeDecodeError as error:
            raise StackrError(f"{path} is not UTF-8 text: byte {error.start} is wrong") from None
        except OSError as error:
            raise StackrError(f"cannot read {path}: {error.strerror}") from None

    def is_file(self, path: str) -> bool:
        """Tell whether something that is not a folder is there."""
        return Path(path).exists() and not Path(path).is_dir()

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder is there."""
        return Path(path).is_dir()

    def real(self, path: str) -> str:
        """Follow symbolic links."""
        return os.path.realpath(path)


DISK = Disk()
