"""The containers that exist, as recorded: in memory to be read, in the database to be kept."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from stackr_schemas.errors import Conflict, NotFound
from stackr_schemas.state import ContainerState

from stackr_engine.state import State

SCHEMA = """
CREATE TABLE IF NOT EXISTS containers (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, made TEXT NOT NULL, state TEXT NOT NULL
)
"""
MADE = {"id", "spec", "image", "created", "anonymous_volumes"}
"""What is as it was at the creation: most of a state, and hardly ever written again."""


class Containers:
    """All container states by id; every change is in the database before it is seen."""

    def __init__(self, state: State):
        self._state = state
        self._lock = threading.RLock()
        rows = state.query("SELECT id, made, state FROM containers")
        self._by_id = {row["id"]: _parsed(row["made"], row["state"]) for row in rows}

    def __iter__(self) -> Iterator[ContainerState]:
        with self._lock:
            return iter(list(self._by_id.values()))

    def __getitem__(self, container_id: str) -> ContainerState:
        with self._lock:
            if container_id not in self._by_id:
                raise NotFound(f"no container with id {container_id[:12]}")
            return self._by_id[container_id]

    def find(self, name: str) -> ContainerState | None:
        """Return the container of this name, id or unambiguous beginning of an id."""
        with self._lock:
            for state in self._by_id.values():
                if state.name == name:
                    return state
            found = [state for key, state in self._by_id.items() if name and key.startswith(name)]
            return found[0] if len(found) == 1 else None

    def add(self, state: ContainerState) -> None:
        """Record a new container; Conflict if its name is taken."""
        with self._lock:
            if any(other.name == state.name for other in self._by_id.values()):
                raise Conflict(
                    f"the container name {state.name!r} is already in use",
                    hint="remove that container, or choose another container_name",
                )
            row = state.id, state.name, *_texts(state)
            with self._state.transaction() as database:
                database.execute("INSERT INTO containers VALUES (?, ?, ?, ?)", row)
            self._by_id[state.id] = state

    def update(self, container_id: str, **changes: Any) -> ContainerState:
        """Record changed fields and return the state as it is now."""
        with self._lock:
            state = self[container_id].model_copy(update=changes)
            made, text = _texts(state) if changes.keys() & MADE else ("", _changing(state))
            with self._state.transaction() as database:
                if made:
                    row = state.name, made, container_id
                    database.execute("UPDATE containers SET name = ?, made = ? WHERE id = ?", row)
                values = text, container_id
                database.execute("UPDATE containers SET state = ? WHERE id = ?", values)
            self._by_id[container_id] = state
            return state

    def remove(self, container_id: str) -> None:
        """Forget a container."""
        with self._lock:
            with self._state.transaction() as database:
                database.execute("DELETE FROM containers WHERE id = ?", (container_id,))
            self._by_id.pop(container_id, None)


def _texts(state: ContainerState) -> tuple[str, str]:
    return state.model_dump_json(include=MADE), _changing(state)


def _changing(state: ContainerState) -> str:
    return state.model_dump_json(exclude=MADE)


def _parsed(made: str, state: str) -> ContainerState:
    return ContainerState.model_validate({**json.loads(made), **json.loads(state)})
