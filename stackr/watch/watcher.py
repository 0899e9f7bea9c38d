"""Watches the folders of a project and keeps its containers' copies equal to them."""

import os
import queue
import threading
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

from stackr_schemas.compose.project import Project
from stackr_schemas.errors import StackrError
from stackr_schemas.events import ContainerStarted
from stackr_schemas.state import ContainerState

from stackr.invocation import Invocation
from stackr.scope import containers_of
from stackr.watch.copies import Copies
from stackr.watch.declared import rules_for
from stackr.watch.manifest import Kind, Stamp, topmost
from stackr.watch.notices import Notices
from stackr.watch.reaction import Reaction
from stackr.watch.rules import Rule
from stackr.watch.scan import look, real_places, scan

_SHORTEST, _LONGEST = 0.1, 60.0
"""Seconds until what could not be copied is tried again, each time twice as many."""


class Wakes(queue.SimpleQueue[Any]):
    """A queue that makes `fd` readable."""

    def __init__(self) -> None:
        super().__init__()
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item and wake who waits."""
        super().put(item)
        os.eventfd_write(self.fd, 1)

    def take(self) -> list[Any]:
        """Return what has come."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return []
        found = []
        while not self.empty():
            found.append(self.get())
        return found

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


class Watcher:
    """One project's watch: made when the rules hold, run until stopped."""

    def __init__(self, invocation: Invocation, project: Project):
        self._engine = invocation.engine
        self._project = project.name
        self._rules = rules_for(project)
        if not self._rules:
            raise StackrError(
                "none of the selected services is configured for watch",
                hint="give one a `develop.watch` section",
            )
        self._invocation = invocation
        self._reaction = Reaction(invocation, self._project)
        self._copies: dict[str, Copies] = {}
        self._wakes = Wakes()
        self._ended = threading.Event()
        self._is_watching = False
        self._patience = _SHORTEST
        self._removed: dict[Rule, set[str]] = {rule: set() for rule in self._rules}
        """What was removed since the watch began: a new container's image may have it again."""

    def stop(self) -> None:
        """End `run` as soon as it is between two things."""
        self._ended.set()
        self._reaction.stop()
        self._wakes.put(None)

    def close(self) -> None:
        """Close what `stop` needs; after the last call of it."""
        self._wakes.close()
        self._reaction.close()

    def run(self) -> None:
        """Watch until `stop`."""
        with ExitStack() as undo:
            folders = [rule.folder for rule in self._rules]
            self._notices = Notices(folders, self._invocation.say)
            undo.callback(self._notices.close)
            undo.callback(self._close_copies)
            undo.enter_context(self._engine.bus.subscribe(self._wakes))
            for rule in self._rules:
                scan(rule, "", self._notices.enter)
            self._find_containers(())
            self._is_watching = True
            self._reaction.say("Watch enabled")
            while not self._ended.is_set():
                self._turn()

    def _turn(self) -> None:
        is_behind = any(copies.behind for copies in self._copies.values())
        self._patience = min(2 * self._patience, _LONGEST) if is_behind else _SHORTEST
        changed = self._notices.wait(self._wakes.fd, self._patience if is_behind else _LONGEST)
        events = self._wakes.take()
        if self._ended.is_set():
            return
        for rule in self._rules:
            paths = {path for name in changed if (path := rule.relative(name)) is not None}
            if paths:
                self._follow(rule, paths)
        if events or is_behind:
            self._find_containers({e.id for e in events if isinstance(e, ContainerStarted)})
        self._reaction.carry_out(self._ended)

    def _follow(self, rule: Rule, paths: set[str]) -> None:
        """Bring what changed to every container of the rule's service."""
        paths = real_places(rule.folder, paths)
        found, saved = self._read(rule, paths)
        self._removed[rule] -= found.keys()
        self._removed[rule] |= paths - found.keys() - {""}
        counts = [0 if rule.copies else len(paths)]
        for copies in self._copies.values():
            if rule.copies and copies.service == rule.service:
                counts.append(copies.bring(rule, paths, found, saved))
        if max(counts):
            self._reaction.note(rule, max(counts))

    def _read(self, rule: Rule, paths: set[str]) -> tuple[dict[str, Stamp], set[str]]:
        """Look at paths, and at all that is in folders; say which of them are files."""
        found: dict[str, Stamp] = {}
        for path in topmost(paths):
            stamp = look(f"{rule.folder}/{path}")
            if stamp is not None and stamp.kind is Kind.FOLDER:
                found |= scan(rule, path, self._notices.enter)
            elif stamp is not None and rule.wants(path):
                found[path] = stamp
        return found, {path for path in paths if path in found}

    def _find_containers(self, started: Collection[str]) -> None:
        """Take in the containers there are now, and bring them what they lack."""
        services = {rule.service for rule in self._rules}
        states = {s.id: s for s in containers_of(self._engine, self._project, services)}
        for container_id in self._copies.keys() - states:
            self._copies.pop(container_id).close()
        scans: dict[Rule, dict[str, Stamp]] = {}
        for state in states.values():
            copies = self._copies.get(state.id)
            if copies is None and not self._engine.paths.container(state.id).is_dir():
                continue  # just being made or removed: its start is the next event
            if copies is None:
                copies = self._take_in(state)
            elif state.id in started:
                copies.restarted(state)
            for rule in list(copies.behind):
                if rule not in scans:
                    scans[rule] = scan(rule, "", self._notices.enter)
                looked_at = {"", *(self._removed[rule] - scans[rule].keys())}
                count = copies.bring(rule, looked_at, scans[rule], ())
                if count:
                    self._reaction.say_synced(rule, count)

    def _take_in(self, state: ContainerState) -> Copies:
        rules = [r for r in self._rules if r.service == state.label("service") and r.copies]
        copies = Copies(self._engine, state, rules, self._invocation.say)
        for rule in rules if not self._is_watching else ():
            if not rule.initial_sync:
                copies.assume(rule, scan(rule, "", self._notices.enter))
        return self._copies.setdefault(state.id, copies)

    def _close_copies(self) -> None:
        for copies in self._copies.values():
            copies.close()
