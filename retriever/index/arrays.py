"""Named arrays.

Where they are written to, in memory or in one checksummed file read through a memory map.

The file is a magic word, then each array at a multiple of 64 bytes, then a directory (JSON:
dtype, shape, offset and CRC-32 of each array), then the directory's length and CRC-32 and the
magic word again. A file that was cut off has no end, and is found out when it is opened; a
flipped bit is found by ``verify``, which reads everything.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twopass.retriever.errors import CorruptIndexError, StorageError

__all__ = [
    "ArraySink",
    "Container",
    "ContainerWriter",
    "MemorySink",
    "storage_errors",
]


class ArraySink(Protocol):
    """Where the arrays of a segment go: a file, or memory."""

    def __contains__(self, name: object) -> bool:
        """Say whether an array of this name was begun."""
        ...

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Write a whole array."""
        ...

    def append(self, name: str, data: bytes | bytearray) -> None:
        """Write more bytes of one uint8 array; appends to different names do not interleave."""
        ...

    def reserve(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Make room for an array and return it, to be filled before the sink is closed."""
        ...


class MemorySink(dict[str, NDArray[Any]]):
    """Arrays that stay in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[str, list[bytes | bytearray]] = {}

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Keep an array."""
        self[name] = array

    def append(self, name: str, data: bytes | bytearray) -> None:
        """Keep more bytes of one array."""
        self._parts.setdefault(name, []).append(data)

    def reserve(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Make an array to be filled."""
        self[name] = np.empty(shape, dtype)
        return self[name]

    def finish(self) -> None:
        """Join what was appended."""
        for name, parts in self._parts.items():
            self[name] = np.frombuffer(b"".join(parts), np.uint8)
        self._parts.clear()


_MAGIC = b"2PASS\x00\x00\x01"
_FOOTER = struct.Struct("<QI8s")  # the directory's length and CRC-32, the magic word
_ALIGNMENT = 64
_CHUNK = 1 << 24


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Report what the system says against writing ``path`` as a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: could not be written: {error.strerror or error}; the index is as it was "
            "before; make room or check the permissions, then try again"
        ) from error


@dataclass(slots=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    offset: int
    checksum: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class ContainerWriter:
    """Writes one container file; nothing is promised about it before ``finish`` returned.

    Raises:
        StorageError: from every method, when the system does not let it write.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path):
            self._file = path.open("x+b")
        self._file.seek(len(_MAGIC))  # the magic word is written last
        self._entries: dict[str, _Entry] = {}
        self._last = ""
        self._reserved: list[np.memmap[Any, Any]] = []

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Write a whole array."""
        array = np.ascontiguousarray(array)
        data = array.reshape(-1).view(np.uint8).data if array.size else b""
        with storage_errors(self._path):
            entry = self._begin(name, array.shape, array.dtype)
            self._file.write(data)
        entry.checksum = zlib.crc32(data)

    def append(self, name: str, data: bytes | bytearray) -> None:
        """Write more bytes of one uint8 array."""
        with storage_errors(self._path):
            entry = self._entries[name] if name == self._last else self._begin(name, (0,), np.uint8)
            self._file.write(data)
        entry.shape = (entry.shape[0] + len(data),)
        entry.checksum = zlib.crc32(data, entry.checksum)

    def reserve(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return a writable map of the array's place in the file.

        Its blocks are allocated now: on a full disk this raises, where a write into a hole of a
        mapped file would kill the process.
        """
        with storage_errors(self._path):
            entry = self._begin(name, shape, dtype)
            self._file.flush()
            if not entry.size:
                return np.empty(shape, dtype)
            _allocate(self._file.fileno(), entry.offset, entry.size)
            self._file.seek(0, os.SEEK_END)
        entry.checksum = -1  # known when it is filled
        self._reserved.append(np.memmap(self._file, dtype, "r+", entry.offset, shape))
        return self._reserved[-1]

    def finish(self) -> None:
        """Write the directory, and return when everything is on the disk."""
        with storage_errors(self._path):
            self._finish()

    def abandon(self) -> None:
        """Close and remove the file."""
        # What is still buffered may not fit on a full disk; it is not wanted either.
        try:
            self._file.close()
        except OSError:
            self._file.raw.close()
        self._path.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._file.flush()
        for array in self._reserved:
            array.flush()
        for entry in self._entries.values():
            if entry.checksum < 0:
                entry.checksum = _checksum(self._file.fileno(), entry)
        directory = json.dumps(
            {name: [e.dtype, e.shape, e.offset, e.checksum] for name, e in self._entries.items()}
        ).encode()
        self._file.write(directory)
        self._file.write(_FOOTER.pack(len(directory), zlib.crc32(directory), _MAGIC))
        self._file.seek(0)
        self._file.write(_MAGIC)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _begin(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> _Entry:
        position = self._file.tell()
        padding = -position % _ALIGNMENT
        self._file.write(bytes(padding))
        entry = _Entry(np.dtype(dtype).str, tuple(shape), position + padding)
        self._entries[name] = entry
        self._last = name
        return entry


def _allocate(descriptor: int, offset: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, offset, size)
    else:
        for start in range(0, size, _CHUNK):
            os.write(descriptor, bytes(min(_CHUNK, size - start)))


def _checksum(descriptor: int, entry: _Entry) -> int:
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
        return zlib.crc32(view[entry.offset : entry.offset + entry.size])


class Container(Mapping[str, NDArray[Any]]):
    """The arrays of one file, read-only, mapped: opening reads the directory alone.

    Raises:
        CorruptIndexError: when the file is not whole.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if self.size < len(_MAGIC) + _FOOTER.size:
                raise self._damaged(f"it has {self.size} bytes and no directory")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._entries = self._directory()

    def __getitem__(self, name: str) -> NDArray[Any]:
        entry = self._entries[name]
        count = prod(entry.shape)
        if not count:
            return np.empty(entry.shape, entry.dtype)
        flat = np.frombuffer(self._map, entry.dtype, count, entry.offset)
        return flat.reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def verify(self) -> None:
        """Read every array and compare it with its checksum.

        Raises:
            CorruptIndexError: naming the file and the first array that differs.

        """
        with memoryview(self._map) as view:
            for name, entry in self._entries.items():
                found = zlib.crc32(view[entry.offset : entry.offset + entry.size])
                if found != entry.checksum:
                    raise self._damaged(
                        f"array {name!r} has checksum {found:08x}, expected {entry.checksum:08x}"
                    )

    def _directory(self) -> dict[str, _Entry]:
        end = self.size - _FOOTER.size
        length, self.checksum, magic = _FOOTER.unpack_from(self._map, end)
        if magic != _MAGIC or self._map[: len(_MAGIC)] != _MAGIC or length > end:
            raise self._damaged("its last bytes are missing or are not those of an index file")
        directory = self._map[end - length : end]
        if zlib.crc32(directory) != self.checksum:
            raise self._damaged("its directory does not have the checksum that it names")
        entries = json.loads(directory)
        return {name: _Entry(d, tuple(s), o, c) for name, (d, s, o, c) in entries.items()}

    def _damaged(self, what: str) -> CorruptIndexError:
        return CorruptIndexError(
            f"{self.path}: expected a whole index file, but {what}; "
            "restore the folder from a copy or build the index again"
        )
