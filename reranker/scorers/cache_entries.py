"""Cached scores: what an entry holds; in memory, or in a file of SQLite; bounded in size.

SQLite rather than a cache library: it ships with Python, its write-ahead log is made for many
readers and writers, it notices a damaged file, and what is read from it is data, never pickled
code. (lmdb maps the file into memory, where damage ends the process; diskcache is a layer over
SQLite that unpickles what it finds.)
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from twopass.reranker.contract.scores import Scores, Span
from twopass.reranker.threads import reset_in_child

__all__ = [
    "DiskStore",
    "Entry",
    "MemoryStore",
    "entries_of",
    "keys_of",
    "scores_of",
]


_CHECKSUM = 8  # bytes
_BASE, _SPAN, _COLUMN = 320, 160, 160  # bytes in memory, measured on CPython 3.11


class Entry(NamedTuple):
    """One pair's part of ``Scores``.

    Attributes:
        value: its score.
        by: which scorer gave it.
        columns: further opinions by name; NaN is none.
        span: the evidence.
        truncated: whether a text was cut; None where the scorer does not say.
        probability: of its relevance; None where the scorer is not calibrated.

    """

    value: float
    by: str
    columns: Mapping[str, float]
    span: Span | None
    truncated: bool | None
    probability: float | None

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory, with its key."""
        return _BASE + _SPAN * (self.span is not None) + _COLUMN * len(self.columns)

    def to_bytes(self, key: bytes) -> bytes:
        """Return it as JSON, in which a float32 stays what it is, behind a checksum.

        The checksum covers the key too: a damaged index may lead to another pair's entry.
        """
        columns = {name: None if math.isnan(x) else x for name, x in self.columns.items()}
        span = None if self.span is None else astuple(self.span)
        rest = (self.truncated, self.probability)
        data = json.dumps([self.value, self.by, columns, span, *rest]).encode()
        return _checksum(key, data) + data

    @classmethod
    def from_bytes(cls, key: bytes, data: bytes) -> Entry | None:
        """Read what ``to_bytes`` wrote for that key; None where it is something else."""
        try:
            if data[:_CHECKSUM] != _checksum(key, data[_CHECKSUM:]):
                return None
            value, by, columns, span, truncated, probability = json.loads(data[_CHECKSUM:])
            columns = {name: math.nan if x is None else float(x) for name, x in columns.items()}
            place = span and Span(*span)
            found = cls(float(value), str(by), columns, place, truncated, probability)
        except (ValueError, TypeError, AttributeError):
            return None
        return found if math.isfinite(found.value) else None


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM, key=key).digest()


def keys_of(fingerprint: str, pairs: Sequence[tuple[str, str]]) -> list[bytes]:
    """Return a key of 16 bytes for each pair: equal for equal pairs of equal scorers alone."""
    bases: dict[str, hashlib.blake2b] = {}
    keys = []
    for query, text in pairs:
        if query not in bases:
            words = query.encode("utf-8", "surrogatepass")
            base = hashlib.blake2b(f"{fingerprint}\0{len(words)}\0".encode(), digest_size=16)
            base.update(words)
            bases[query] = base
        digest = bases[query].copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        keys.append(digest.digest())
    return keys


def entries_of(scores: Scores) -> list[Entry | None]:
    """Return the entry of each pair; None for those without a score."""
    entries: list[Entry | None] = []
    for i, value in enumerate(scores.values.tolist()):
        columns = {name: float(column[i]) for name, column in scores.columns.items()}
        span = None if scores.evidence is None else scores.evidence[i]
        truncated = None if scores.truncated is None else bool(scores.truncated[i])
        likely = None if scores.probabilities is None else float(scores.probabilities[i])
        entry = Entry(value, scores.by, columns, span, truncated, likely)
        entries.append(None if math.isnan(value) else entry)
    return entries


def scores_of(entries: Sequence[Entry]) -> Scores:
    """Return entries as scores; by whom, says the first."""
    n = len(entries)
    names = dict.fromkeys(name for entry in entries for name in entry.columns)
    evidence, truncated, likely = np.full(n, None, dtype=object), None, None
    evidence[:] = [entry.span for entry in entries]
    if any(entry.truncated is not None for entry in entries):
        truncated = np.array([bool(entry.truncated) for entry in entries], dtype=np.bool_)
    if any(entry.probability is not None for entry in entries):
        found = [np.nan if entry.probability is None else entry.probability for entry in entries]
        likely = np.array(found, dtype=np.float32)
    return Scores(
        values=np.array([entry.value for entry in entries], dtype=np.float32),
        by=entries[0].by if entries else "",
        columns={
            name: np.array([entry.columns.get(name, np.nan) for entry in entries], np.float32)
            for name in names
        },
        evidence=evidence if any(entry.span is not None for entry in entries) else None,
        truncated=truncated,
        probabilities=likely,
    )


class MemoryStore:
    """A bounded dictionary; whoever uses it from several threads holds a lock.

    Args:
        limit: bytes at most.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Entry | None:
        """Return an entry, which is then the most recently used; None where there is none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep an entry, and let go of the oldest where there is no room."""
        previous = self._entries.pop(key, None)
        self.bytes += entry.size - (previous.size if previous else 0)
        self._entries[key] = entry
        while self.bytes > self._limit:
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= dropped.size


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
    and a damaged file is replaced by an empty one; each is logged.

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
                entry = Entry.from_bytes(key, data)
                if entry is not None:
                    found[key] = entry
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries, and let go of the first written where there are too many."""
        rows = [(key, entry.to_bytes(key)) for key, entry in entries.items()]
        # A row that is there under its key was damaged, or is of an older format.
        self._run("INSERT OR REPLACE INTO scores (key, entry) VALUES (?, ?)", rows, many=True)
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
                _LOG.warning("score cache %s: %s; starting with an empty one", self._path, error)
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
