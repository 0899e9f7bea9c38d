"""The engine's state on disk: one SQLite database, written in whole transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# WAL with synchronous=NORMAL: a killed process loses nothing, a transaction costs 16 µs; after a
# power cut the newest transactions may be missing, but then no container runs either.
PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON")


class State:
    """The database, opened once; each module brings the tables it owns.

    `schemas` are scripts of `CREATE TABLE IF NOT EXISTS` statements.
    """

    def __init__(self, file: Path, *schemas: str):
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for statement in (*PRAGMAS, *schemas):
            self._connection.executescript(statement)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread; commit at the end, roll back on an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of one reading statement."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
