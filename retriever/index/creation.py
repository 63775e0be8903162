"""New indexes: in memory, or in a folder that appears under its name only when it is complete."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from twopass.retriever.errors import (
    CorruptIndexError,
    FormatError,
    IndexExistsError,
    LockedError,
    NotAnIndexError,
)
from twopass.retriever.index.arrays import ArraySink, MemorySink, storage_errors
from twopass.retriever.index.manifest import FileRecord, Manifest, SegmentRecord
from twopass.retriever.index.storage import FolderStorage, Storage, WriterLock, sync_folder

__all__ = [
    "Fill",
    "MemoryStorage",
    "new_folder",
]


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


Fill = Callable[[Storage], tuple[SegmentRecord, ...]]
"""Writes the segments of a new index into a storage and says which they are."""


def new_folder(path: Path, empty: Manifest, fill: Fill, *, overwrite: bool) -> FolderStorage:
    """Make an index folder: beside its place, then renamed; or as a commit in an old index.

    Args:
        path: the folder.
        empty: the manifest of the index without documents.
        fill: writes the documents.
        overwrite: whether an index that stands there may be replaced. It stays whole until the
            new one is; readers that have it open keep it.

    Raises:
        IndexExistsError: when something stands there that may not be replaced.
        LockedError: when another writer has the index that stands there.
        StorageError: when the system does not let it be written.

    """
    if path.is_symlink() or path.exists():
        return _replace(path, empty, fill, overwrite)
    building = path.with_name(f".{path.name}.building-{secrets.token_hex(4)}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        building.mkdir()
        lock = WriterLock(building)  # until it has its name: by this others know it is not dead
    try:
        storage = FolderStorage(building)
        storage.commit(empty.next(fill(storage)))
        with storage_errors(path):
            building.rename(path)
            sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    finally:
        lock.release()
    return FolderStorage(path)


def _replace(path: Path, empty: Manifest, fill: Fill, overwrite: bool) -> FolderStorage:
    storage = FolderStorage(path)
    if not overwrite:
        raise IndexExistsError(
            f"{path}: expected nothing there yet, but it exists; choose another name, "
            "or ask for it to be overwritten"
        )
    try:
        empty = replace(empty, generation=storage.manifest().generation)
    except NotAnIndexError as error:
        raise IndexExistsError(
            f"{path}: expected an index to overwrite, found something else; choose another name"
        ) from error
    except (FormatError, CorruptIndexError):
        pass  # what cannot be read can still be replaced
    lock = WriterLock(path)
    try:
        new = empty.next(fill(storage))
        storage.commit(new)
        storage.sweep(new.names())
    finally:
        lock.release()
    return storage


def _remove_abandoned(path: Path) -> None:
    """Remove what builds of this folder left behind that were killed."""
    for folder in path.parent.glob(f".{path.name}.building-*"):
        with suppress(LockedError, OSError):
            WriterLock(folder).release()
            shutil.rmtree(folder)
