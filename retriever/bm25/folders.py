"""A new index folder: nothing stands under its name before it is whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from retriever.base import (
    CorruptIndexError,
    FormatError,
    IndexExistsError,
    LockedError,
    NotAnIndexError,
)
from retriever.bm25.container import writing
from retriever.bm25.lock import WriterLock
from retriever.bm25.manifest import Manifest, SegmentRecord
from retriever.bm25.storage import FolderStorage, Storage, sync_folder

__all__ = ["Fill", "new_folder"]

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
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        building.mkdir()
        lock = WriterLock(building)  # until it has its name: by this others know it is not dead
    try:
        storage = FolderStorage(building)
        storage.commit(empty.next(fill(storage)))
        with writing(path):
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
