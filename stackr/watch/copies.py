"""What one container has of all the folders that are watched for its service."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from stackr_engine.engine import Engine
from stackr_engine.sync import below
from stackr_schemas.container import TmpfsMount
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.watch.destination import Destination, sees
from stackr.watch.manifest import Manifest
from stackr.watch.record import FILE, Record
from stackr.watch.rules import Rule


class Copies:
    """The copies in one container; what could not be brought is `behind`, to be tried again."""

    def __init__(
        self,
        engine: Engine,
        state: ContainerState,
        rules: Iterable[Rule],
        say: Callable[[str], None],
    ):
        self.service = state.label("service")
        self._name = state.name
        self._say = say
        self._said = ""
        self._record = Record(engine.paths.container(state.id) / FILE)
        self._destinations = {
            rule: Destination(engine, state, rule, self._record)
            for rule in rules
            if not sees(state, rule)
        }
        self._bound = {rule for rule in rules if sees(state, rule)}
        self.behind = set(self._destinations)
        """The rules whose whole folder has to be compared."""

    def close(self) -> None:
        """Close the record."""
        self._record.close()

    def assume(self, rule: Rule, found: Manifest) -> None:
        """Take it that a container that was never written to has what the folder holds."""
        destination = self._destinations.get(rule)
        if destination is not None and not destination.was_applied:
            destination.assume(found)

    def restarted(self, state: ContainerState) -> None:
        """Note that what was in memory is gone."""
        for mount in (one for one in state.spec.mounts if isinstance(one, TmpfsMount)):
            for rule, destination in self._destinations.items():
                if below(destination.target, mount.target) is not None:
                    destination.forget()
                    self.behind.add(rule)

    def bring(
        self, rule: Rule, looked_at: Iterable[str], found: Manifest, saved: Iterable[str]
    ) -> int:
        """Bring changes to the container; return how many there were."""
        if rule in self._bound:
            return len(set(looked_at))
        destination = self._destinations[rule]
        paths = set(looked_at)
        changes = destination.changes(paths, found, saved)
        if not changes:
            self.behind -= {rule} if "" in paths else set()
            return 0
        try:
            destination.apply(changes, found)
        except (OSError, StackrError) as error:
            self.behind.add(rule)
            self._complain(error)
            return 0
        if "" in paths:
            self.behind.discard(rule)
        return len(changes.removed) + len(changes.written)

    def _complain(self, error: Exception) -> None:
        text = f"warning: cannot copy to {self._name}: {error}"
        if text != self._said:
            self._said = text
            with suppress(OSError, ValueError):
                self._say(text)
