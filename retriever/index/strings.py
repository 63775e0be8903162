"""Strings by number and numbers by string, in four arrays that can be memory-mapped.

The numbers are found by a binary search among the sorted CRC-32 hashes of the strings, then by
comparing bytes, so that nothing is loaded and equal hashes do no harm. Many strings at once are
copied together by a compiled loop, and cut out of one Python string where they are ASCII.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.index.arrays import ArraySink
from twopass.retriever.native.function import Function

__all__ = ["StringTable", "cut", "decode", "encode", "put_strings", "warm"]

_GATHER = Function(
    "twopass.retriever.native.loops.words:gather",
    *("uint8[]", "int64[]", "int64[]", "uint8[]", "int64[]"),
)


_ENCODE: Callable[[str], bytes] = methodcaller("encode", "utf-8", "surrogatepass")


def encode(text: str) -> bytes:
    """UTF-8; lone surrogates, which Python strings may hold, survive the round trip."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """Turn what ``encode`` made back into a string."""
    return data.decode("utf-8", "surrogatepass")


def warm() -> None:
    """Load the loop that copies strings, compiled if need be."""
    _GATHER.load()


def cut(data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> list[str]:
    """Return the strings that stand in some bytes at (n,) places."""
    together = np.empty(int((stops - starts).sum()), np.uint8)
    ends = np.empty(len(starts), np.int64)
    _GATHER(data, starts, stops, together, ends)
    joined = together.tobytes()
    places = pairwise([0, *ends.tolist()])
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[start:end] for start, end in places]
    return [decode(joined[start:end]) for start, end in places]


def put_strings(sink: ArraySink, name: str, strings: Iterable[str]) -> None:
    """Write strings, numbered in their order, as the table ``name``."""
    encoded = list(map(_ENCODE, strings))
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    hashes = np.fromiter(map(zlib.crc32, encoded), np.uint32, len(encoded))
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    sink.put(f"{name}.data", np.frombuffer(b"".join(encoded), np.uint8))
    sink.put(f"{name}.offsets", offsets)
    sink.put(f"{name}.hashes", hashes[order])
    sink.put(f"{name}.order", order)


class StringTable:
    """The strings that ``put_strings`` wrote as ``name``."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        # Read by element: a memoryview gives Python's integers, several times faster than numpy.
        self._arrays = arrays[f"{name}.data"], arrays[f"{name}.offsets"]
        self._data = arrays[f"{name}.data"].data
        self._offsets = arrays[f"{name}.offsets"].data
        self._hashes = arrays[f"{name}.hashes"].data
        self._order = arrays[f"{name}.order"].data

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> str:
        data = self._data[self._offsets[number] : self._offsets[number + 1]]
        return str(data, "utf-8", "surrogatepass")  # as ``decode``, without a copy before it

    def take(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return the strings with (n,) numbers."""
        data, offsets = self._arrays
        return cut(data, offsets[numbers], offsets[numbers + 1])

    def __iter__(self) -> Iterator[str]:
        data = self._data.tobytes()
        offsets = self._offsets.tolist()
        for start, end in pairwise(offsets):
            yield decode(data[start:end])

    def find(self, string: str) -> int:
        """Return the string's number, or -1 where it is not in the table."""
        wanted = encode(string)
        value = zlib.crc32(wanted)
        at = bisect_left(self._hashes, value)
        while at < len(self._hashes) and self._hashes[at] == value:
            number = self._order[at]
            if self._bytes(number) == wanted:
                return number
            at += 1
        return -1

    def _bytes(self, number: int) -> bytes:
        return self._data[self._offsets[number] : self._offsets[number + 1]].tobytes()
