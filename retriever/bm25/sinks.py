"""Where the arrays of a segment are written to."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["ArraySink", "MemorySink"]


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
