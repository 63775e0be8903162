"""An index in memory: the same files, without a disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from numpy.typing import NDArray

from retriever.bm25.manifest import FileRecord, Manifest
from retriever.bm25.sinks import ArraySink, MemorySink

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """An index that lives as long as its process."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._files: dict[str, MemorySink] = {}
        self._names = count(1)

    def manifest(self) -> Manifest:
        """Return the newest commit."""
        return self._manifest

    def read(self, record: FileRecord) -> Mapping[str, NDArray[Any]]:
        """Return the arrays of a file."""
        return self._files[record.name]

    def new_name(self, kind: str) -> str:
        """Return a name that no file has."""
        return f"{kind}-{next(self._names):06}"

    @contextmanager
    def write(self, name: str) -> Iterator[ArraySink]:
        """Keep what is written in the block."""
        sink = MemorySink()
        yield sink
        sink.finish()
        self._files[name] = sink

    def record(self, name: str) -> FileRecord:
        """Return what a manifest says of a file."""
        return FileRecord(name, sum(array.nbytes for array in self._files[name].values()), 0)

    def commit(self, manifest: Manifest) -> None:
        """Make this the newest commit."""
        for name in self._manifest.names() - manifest.names():
            del self._files[name]
        self._manifest = manifest

    def remove(self, name: str) -> None:
        """Remove a file."""
        del self._files[name]

    def sweep(self, keep: Collection[str]) -> None:
        """Remove all files but these."""
        for name in self._files.keys() - set(keep):
            del self._files[name]

    def lock(self) -> None:
        """Return nothing: nobody else can write here."""
        return
