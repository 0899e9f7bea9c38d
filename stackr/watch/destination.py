"""One rule and one container: brings the copy to what the folder is."""

import time
from collections.abc import Iterable
from dataclasses import replace

from stackr_engine.engine import Engine
from stackr_engine.sync import Tree, below, open_tree
from stackr_schemas.container import BindMount
from stackr_schemas.state import ContainerState

from stackr.watch.manifest import Changes, Kind, Manifest, Stamp, changes_between, topmost
from stackr.watch.manifest import below as part_of
from stackr.watch.record import UNKNOWN, Record
from stackr.watch.rules import Rule

_AT_ONCE = 500
"""Entries that are written before others may act on the container."""

_TICK = 20_000_000
"""Nanoseconds within which two changes of a file may leave the same time on it."""


class Destination:
    """What one container has of one rule's folder."""

    def __init__(self, engine: Engine, state: ContainerState, rule: Rule, record: Record):
        self._engine = engine
        self._id = state.id
        self._rule = rule
        self._record = record
        self._key = "\0".join((rule.folder, rule.name, rule.target, rule.target_name))
        self.was_applied = self._key in record.manifests
        self.target = rule.target
        self._manifest = record.begin(self._key)

    def assume(self, found: Manifest) -> None:
        """Take it that the container has what the folder holds now."""
        self._record.note(self._key, dict(found))

    def forget(self) -> None:
        """Take it that nothing is known of what the container has."""
        self._record.note(self._key, dict.fromkeys(self._manifest, UNKNOWN))

    def changes(self, looked_at: Iterable[str], found: Manifest, saved: Iterable[str]) -> Changes:
        """Return what has to be done about the paths that were looked at.

        `saved` files are written even if they seem to be what they were.
        """
        given = set(looked_at)
        old: dict[str, Stamp] = {}
        for path in topmost(given):
            stamp = self._manifest.get(path)
            is_folder = not path or stamp is None or stamp.kind is Kind.FOLDER or stamp == UNKNOWN
            part = part_of(self._manifest, path) if is_folder else {path: stamp}
            old.update({name: item for name, item in part.items() if item})
        changes = changes_between(old, found)
        missing = {path for path in given if path and path not in found}
        removed = topmost({*changes.removed, *missing})
        again = {path for path in saved if path in found and found[path].kind is Kind.FILE}
        return Changes(removed, tuple(sorted({*changes.written, *again})))

    def apply(self, changes: Changes, found: Manifest) -> None:
        """Do it; what raises leaves everything that was not done as unknown."""
        gone = {p for path in changes.removed for p in (path, *part_of(self._manifest, path))}
        known_gone = gone & self._manifest.keys()
        self._record.note(self._key, dict.fromkeys({*known_gone, *changes.written}, UNKNOWN))
        steps: list[tuple[str, Stamp | None]] = [(path, None) for path in changes.removed]
        steps += [(path, found[path]) for path in changes.written]
        for start in range(0, len(steps), _AT_ONCE):
            self._perform(steps[start : start + _AT_ONCE])
        self._record.note(self._key, dict.fromkeys(known_gone - set(changes.written)))

    def _perform(self, steps: list[tuple[str, Stamp | None]]) -> None:
        done: dict[str, Stamp | None] = {}
        with open_tree(self._engine, self._id, self._rule.target) as tree:
            for path, stamp in steps:
                if stamp is None:
                    tree.remove(self._rule.placed(path))
                else:
                    done[path] = self._write(tree, path, stamp)
        self._record.note(self._key, done)

    def _write(self, tree: Tree, path: str, stamp: Stamp) -> Stamp:
        place = self._rule.placed(path)
        match stamp.kind:
            case Kind.FOLDER:
                tree.make_folder(place, stamp.mode)
            case Kind.LINK:
                tree.write_link(place, stamp.link)
            case Kind.FILE:
                try:
                    tree.write_file(place, f"{self._rule.folder}/{path}")
                except FileNotFoundError:
                    return UNKNOWN  # gone since it was looked at: that is the next change
                is_fresh = time.time_ns() - stamp.changed < _TICK
                return replace(stamp, changed=0) if is_fresh else stamp
        return stamp


def sees(state: ContainerState, rule: Rule) -> bool:
    """Tell whether a bind mount shows the container the watched folder itself."""
    for mount in state.spec.mounts:
        if isinstance(mount, BindMount):
            rest = below(rule.target, mount.target)
            if rest is not None and f"{mount.source}/{rest}".rstrip("/") == rule.folder:
                return True
    return False
