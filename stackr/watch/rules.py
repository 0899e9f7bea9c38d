"""What is watched for which service, and which files a rule is about; decides, never reads."""

from dataclasses import dataclass
from functools import cached_property

from stackr_schemas.compose.develop import Action
from stackr_schemas.compose.hook import Hook

from stackr.watch.ignore import NONE, TEMPORARY, Patterns


@dataclass(frozen=True)
class Root:
    """Patterns, and the folder that they are relative to."""

    folder: str
    patterns: Patterns


@dataclass(frozen=True, eq=False)
class Rule:
    """One entry of `develop.watch`; a watched file is the one wanted name of its folder."""

    service: str
    action: Action
    folder: str
    """The watched folder on the host, absolute."""
    target: str
    """Where its content goes; empty when nothing is copied."""
    name: str = ""
    """The one file that is watched in the folder."""
    target_name: str = ""
    """What that file is called in the target."""
    exec: Hook | None = None
    initial_sync: bool = False
    ignored: tuple[Root, ...] = ()
    included: Patterns = NONE

    @property
    def copies(self) -> bool:
        """Tell whether files are copied."""
        return bool(self.target)

    def relative(self, path: str) -> str | None:
        """Return a host path relative to the folder if the rule is about it."""
        if path == self.folder:
            return ""
        rest = _below(path, self.folder)
        return None if rest is None or not self.wants(rest) else rest

    def wants(self, relative: str) -> bool:
        """Tell whether an entry of the folder counts."""
        if self.name:
            return relative == self.name
        if self.included.patterns and not self.included.match(relative):
            return False
        return not self._is_ignored(relative)

    def enters(self, relative: str) -> bool:
        """Tell whether something that counts can be in a folder."""
        if self.name:
            return not relative
        exceptional = any(root.patterns.has_exceptions for root in self._roots)
        return exceptional or not self._is_ignored(relative)

    def placed(self, relative: str) -> str:
        """Return where an entry goes, relative to the target."""
        return self.target_name if self.name else relative

    def _is_ignored(self, relative: str) -> bool:
        path = f"{self.folder}/{relative}"
        for root in self._roots:
            rest = _below(path, root.folder)
            if rest is not None and root.patterns.match(rest):
                return True
        return False

    @cached_property
    def _roots(self) -> tuple[Root, ...]:
        return (*self.ignored, Root(self.folder, Patterns.of(TEMPORARY)))


def _below(path: str, folder: str) -> str | None:
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None
