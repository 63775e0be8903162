"""Where an index's files are, and the lock that admits one writer at a time.

A commit in a folder is one rename: the files that are new are on the disk before the manifest
that names them replaces the old one. Whatever happens in between, the old manifest and all its
files are whole; what a dead writer left behind is named by no manifest and is removed by the next
writer. Files are removed as soon as no manifest names them: readers that still have them mapped
keep them until they let go.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from twopass.retriever.errors import CorruptIndexError, LockedError, NotAnIndexError, StorageError
from twopass.retriever.index.arrays import ArraySink, Container, ContainerWriter, storage_errors
from twopass.retriever.index.manifest import FILE_NAME, FileRecord, Manifest

__all__ = [
    "FolderStorage",
    "Storage",
    "WriterLock",
    "sync_folder",
]


class WriterLock:
    """The right to write one index folder; the system takes it back from a process that dies.

    ``writer.lock`` carries the lock. Who has it stands in ``writer.json``, for messages only:
    that file means nothing while the lock is free.

    Raises:
        LockedError: when another writer has it.

    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock, Timeout

        self._holder = folder / "writer.json"
        # Not per thread: the index may be closed by another thread than the one that wrote.
        self._lock = FileLock(folder / "writer.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LockedError(
                f"{folder}: expected no other writer, but {self._describe()} is writing; "
                "close that writer or wait for it to end, then try again"
            ) from error
        holder = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # on a full disk; the lock does not depend on it
            self._holder.write_text(json.dumps(holder))

    def release(self) -> None:
        """Give the right back."""
        self._lock.release()

    def _describe(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            return f"process {holder['process']} on {holder['host']} (since {holder['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


_MANIFEST = "manifest.json"
_OURS = re.compile(rf"{FILE_NAME.pattern}|manifest\.json\.new", re.ASCII)


class Storage(Protocol):
    """Files of arrays by name, and a manifest that names those that count."""

    def manifest(self) -> Manifest:
        """Return the newest commit."""
        ...

    def read(self, record: FileRecord) -> Mapping[str, NDArray[Any]]:
        """Return the arrays of a file."""
        ...

    def new_name(self, kind: str) -> str:
        """Return a name that no file has."""
        ...

    def write(self, name: str) -> AbstractContextManager[ArraySink]:
        """Write a file: whole when the block ends, gone when it fails."""
        ...

    def record(self, name: str) -> FileRecord:
        """Return what a manifest says of a file that was written."""
        ...

    def commit(self, manifest: Manifest) -> None:
        """Make this the newest commit, and remove the files that only the old one names."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def sweep(self, keep: Collection[str]) -> None:
        """Remove all files but these."""
        ...

    def lock(self) -> WriterLock | None:
        """Become the only writer, where several could be."""
        ...


class FolderStorage:
    """An index in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # the working directory may change
        self._names = 0
        self._naming = threading.Lock()  # a merge and a change may both need one

    def manifest(self) -> Manifest:
        """Return the newest commit.

        Raises:
            NotAnIndexError: when the folder has no manifest.
            FormatError: when another version wrote it.
            CorruptIndexError: when it is damaged.

        """
        path = self.folder / _MANIFEST
        try:
            return Manifest.from_bytes(path.read_bytes(), path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotAnIndexError(
                f"{self.folder}: expected the folder of an index, but it has no {_MANIFEST}; "
                "check the path, or build an index there"
            ) from error

    def read(self, record: FileRecord) -> Container:
        """Return the arrays of a file.

        Raises:
            FileNotFoundError: when it is not there.
            CorruptIndexError: when it is not the one that the manifest names.

        """
        container = Container(self.folder / record.name)
        if (container.size, container.checksum) != (record.size, record.checksum):
            raise CorruptIndexError(
                f"{container.path}: expected {record.size} bytes with checksum "
                f"{record.checksum:08x}, found {container.size} bytes with checksum "
                f"{container.checksum:08x}; restore the folder from a copy or build it again"
            )
        return container

    def new_name(self, kind: str) -> str:
        """Return a name that no file has."""
        with self._naming:
            if not self._names:
                found = (_OURS.fullmatch(path.name) for path in self.folder.iterdir())
                self._names = max((int(match[2] or 0) for match in found if match), default=0)
            self._names += 1
            return f"{kind}-{self._names:06}"

    @contextmanager
    def write(self, name: str) -> Iterator[ArraySink]:
        """Write a file: whole and on the disk when the block ends, gone when it fails.

        Raises:
            StorageError: when the system does not let it be written.

        """
        writer = ContainerWriter(self.folder / name)
        try:
            yield writer
            writer.finish()
        except BaseException:
            writer.abandon()
            raise

    def record(self, name: str) -> FileRecord:
        """Return what a manifest says of a file."""
        container = Container(self.folder / name)
        return FileRecord(name, container.size, container.checksum)

    def commit(self, manifest: Manifest) -> None:
        """Replace the manifest, and remove the files that only the old one names.

        Raises:
            StorageError: when the system does not let it be written; the message says which
                commit stands, in all cases but one the old.

        """
        path, new = self.folder / _MANIFEST, self.folder / f"{_MANIFEST}.new"
        try:
            old = self.manifest()
        except StorageError:  # a new folder; or a damaged index, to be replaced
            old = manifest
        with storage_errors(path):
            with new.open("wb") as file:
                file.write(manifest.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.folder)  # the names of the new files, before the one that needs them
            new.replace(path)
        self._settle()
        for name in old.names() - manifest.names():
            self.remove(name)

    def _settle(self) -> None:
        try:
            sync_folder(self.folder)
        except OSError as error:
            raise StorageError(
                f"{self.folder}: the commit stands, but might not survive a loss of power now: "
                f"{error.strerror or error}; check the disk"
            ) from error

    def sweep(self, keep: Collection[str]) -> None:
        """Remove all files but these; a lock and the manifest are no such files."""
        for path in self.folder.iterdir():
            if path.name not in keep and _OURS.fullmatch(path.name):
                self.remove(path.name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        # Where a system refuses to remove what a reader has mapped, a later sweep will.
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def lock(self) -> WriterLock:
        """Become the only writer, and remove what a dead one left behind.

        Raises:
            LockedError: when there is another writer.

        """
        with storage_errors(self.folder / "writer.lock"):
            lock = WriterLock(self.folder)
        try:
            self.sweep(self.manifest().names())
        except BaseException:
            lock.release()
            raise
        return lock


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries are on the disk."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
