"""Entries on disk, in a file of SQLite: bounded, shared by processes, whole after a kill.

SQLite rather than a cache library: it ships with Python, its write-ahead log is made for many
readers and writers, it notices a damaged file, and what is read from it is data, never pickled
code. (lmdb maps the file into memory, where damage ends the process; diskcache is a layer over
SQLite that unpickles what it finds.)
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

from reranker.cache.entries import Entry
from reranker.forking import reset_in_child

__all__ = ["DiskStore"]

_LOG = logging.getLogger(__name__)

_FILE = "scores.sqlite"
_BYTES_A_ROW = 150  # with its share of the index, measured
_AT_ONCE = 500  # keys a query
_PATIENCE = 1.0  # seconds to wait for another process's write
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS scores (
    place INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL
);
"""


class DiskStore:
    """A table of entries, of which the first written go first.

    It never fails a search: what cannot be read is missing, what cannot be written is not kept,
    and a file that is damaged is begun anew; each is told in the log.

    Args:
        folder: where its file is; made if need be.
        limit: about how many bytes at most.

    Raises:
        OSError: when the folder cannot be made.

    """

    def __init__(self, folder: str | PathLike[str], limit: int) -> None:
        self._path = Path(folder) / _FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._rows = max(1, limit // _BYTES_A_ROW)
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Leave the connection alone: it must not be used on both sides of a fork."""
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Return what there is of the keys' entries."""
        found: dict[bytes, Entry] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, entry FROM scores WHERE key IN ({marks})"
            for key, data in self._run(query, some):
                entry = Entry.from_bytes(data)
                if entry is not None:
                    found[key] = entry
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries, and let go of the first written where there are too many."""
        rows = [(key, entry.to_bytes()) for key, entry in entries.items()]
        self._run("INSERT OR IGNORE INTO scores (key, entry) VALUES (?, ?)", rows, many=True)
        oldest = "DELETE FROM scores WHERE place <= (SELECT max(place) FROM scores) - ?"
        self._run(oldest, [self._rows])

    def __len__(self) -> int:
        [row] = self._run("SELECT count(*) FROM scores", []) or [(0,)]
        return int(row[0])

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(
        self, statement: str, values: Sequence[Any], *, many: bool = False
    ) -> list[tuple[Any, ...]]:
        """Run a statement; nothing where it cannot be run."""
        with self._lock:
            try:
                return self._execute(statement, values, many=many)
            except sqlite3.OperationalError as error:  # locked for too long, no room, no right
                _LOG.warning("score cache %s: %s; going on without", self._path, error)
            except sqlite3.DatabaseError as error:
                _LOG.warning("score cache %s: %s; beginning anew", self._path, error)
                self._discard()
        return []

    def _execute(
        self, statement: str, values: Sequence[Any], *, many: bool
    ) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, timeout=_PATIENCE, check_same_thread=False
            )
            self._connection.executescript(_SCHEMA)
        with self._connection as connection:
            if many:
                connection.executemany(statement, values)
                return []
            return connection.execute(statement, values).fetchall()

    def _discard(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
