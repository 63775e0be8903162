"""Entries in memory: a bounded number of bytes, the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict

from reranker.cache.entries import Entry

__all__ = ["MemoryStore"]


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
