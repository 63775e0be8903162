"""Metadata of a segment: field and value -> documents.

For each field and kind of value the distinct values are kept in ascending order, with the
documents of each one after another, so that every filter on one field is a slice of one array.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.filters.base import Value, field_values
from twopass.retriever.index.arrays import ArraySink
from twopass.retriever.index.strings import StringTable, put_strings

__all__ = [
    "Column",
    "ColumnWriter",
    "Columns",
    "kind_of",
]


_NUMBERS: Final = {"bool": "b", "int": "q", "float": "d"}  # typecodes of array

_SCANNED = 16  # values of a column are read one after another as fast as one is looked up


def kind_of(value: Value) -> str:
    """Return which kind of column holds the value."""
    return type(value).__name__


class ColumnWriter:
    """Collects the metadata of a segment's documents."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], array[Any]] = {}
        self._docs: dict[tuple[str, str], array[int]] = {}
        self._strings: dict[str, dict[str, int]] = {}

    def add(self, number: int, metadata: Mapping[str, Any]) -> None:
        """Take the metadata of a document; numbers come in ascending order."""
        for field, value in field_values(metadata):
            kind = kind_of(value)
            key = (field, kind)
            if key not in self._docs:
                self._docs[key] = array("i")
                self._values[key] = array(_NUMBERS.get(kind, "i"))
            self._docs[key].append(number)
            if isinstance(value, str):
                known = self._strings.setdefault(field, {})
                self._values[key].append(known.setdefault(value, len(known)))
            else:
                self._values[key].append(value)

    def finish(self, sink: ArraySink) -> None:
        """Write the columns."""
        keys = sorted(self._docs)
        sink.put("columns", np.frombuffer(json.dumps(keys).encode(), np.uint8))
        for i, (field, kind) in enumerate(keys):
            values = np.array(self._values[field, kind])
            docs = np.array(self._docs[field, kind], np.int32)
            if kind == "str":
                strings = self._strings[field]
                ordered = sorted(strings)
                ranks = np.empty(len(ordered), np.int32)
                ranks[[strings[string] for string in ordered]] = np.arange(len(ordered))
                values = ranks[values]
                put_strings(sink, f"columns.{i}", ordered)
            order = np.argsort(values, kind="stable")
            distinct, starts = np.unique(values[order], return_index=True)
            if kind != "str":
                sink.put(f"columns.{i}.values", distinct)
            sink.put(f"columns.{i}.starts", np.append(starts, len(docs)).astype(np.int64))
            sink.put(f"columns.{i}.docs", docs[order])


class Column:
    """The values of one kind of one field, and the documents that have them."""

    def __init__(
        self, values: StringTable | NDArray[Any], starts: NDArray[np.int64], docs: NDArray[np.int32]
    ) -> None:
        self.docs = docs
        self._values = values
        self._starts = starts

    def equal(self, value: Value) -> NDArray[np.int32]:
        """Return the documents that have this value."""
        return self._slice(self._count_below(value), self._count_up_to(value))

    def equal_any(self, values: Sequence[Value]) -> Iterator[NDArray[np.int32]]:
        """Yield the documents of each of these values that a document has."""
        if not values or not len(self._values):
            return
        for number in self._numbers_of(values):
            yield self._slice(number, number + 1)

    def _numbers_of(self, values: Sequence[Value]) -> Iterator[int]:
        if isinstance(self._values, StringTable):
            numbers = (self._values.find(value) for value in values if isinstance(value, str))
            yield from (number for number in numbers if number >= 0)
        elif len(values) < len(self._values) // _SCANNED:
            found = ((self._count_below(value), value) for value in values)
            n = len(self._values)
            yield from (at for at, value in found if at < n and self._value(at) == value)
        else:  # Python's numbers have equal hashes where they are equal, of whatever kind
            wanted = set(values)
            yield from (i for i, own in enumerate(self._values.tolist()) if own in wanted)

    def between(
        self,
        gt: Value | None = None,
        gte: Value | None = None,
        lt: Value | None = None,
        lte: Value | None = None,
    ) -> NDArray[np.int32]:
        """Return the documents that have a value between the bounds that are given."""
        low = max(
            0 if gt is None else self._count_up_to(gt),
            0 if gte is None else self._count_below(gte),
        )
        n = len(self._values)
        high = min(
            n if lt is None else self._count_below(lt),
            n if lte is None else self._count_up_to(lte),
        )
        return self._slice(low, max(low, high))

    def where(self, accepts: Callable[[Any], bool]) -> NDArray[np.int32]:
        """Return the documents that have an accepted value; calls it once for each value."""
        kept = [i for i in range(len(self._values)) if accepts(self._value(i))]
        return np.concatenate([self.docs[:0], *(self._slice(i, i + 1) for i in kept)])

    def _slice(self, low: int, high: int) -> NDArray[np.int32]:
        return self.docs[self._starts[low] : self._starts[high]]

    # Python compares integers with floats exactly, where numpy would round one to the other.

    def _count_below(self, value: Value) -> int:
        return bisect_left(range(len(self._values)), value, key=self._value)

    def _count_up_to(self, value: Value) -> int:
        return bisect_right(range(len(self._values)), value, key=self._value)

    def _value(self, i: int) -> Any:
        value = self._values[i]
        return value if isinstance(value, str) else value.item()


class Columns:
    """The columns of one segment by field and kind."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._columns: dict[str, dict[str, Column]] = {}
        for i, (field, kind) in enumerate(json.loads(arrays["columns"].tobytes())):
            name = f"columns.{i}"
            values: Any = StringTable(arrays, name) if kind == "str" else arrays[f"{name}.values"]
            values = values.astype(np.bool_) if kind == "bool" else values
            column = Column(values, arrays[f"{name}.starts"], arrays[f"{name}.docs"])
            self._columns.setdefault(field, {})[kind] = column

    @property
    def fields(self) -> list[str]:
        """The names of the fields that a document has."""
        return list(self._columns)

    def comparable(
        self, field: str, values: Iterable[Value]
    ) -> Iterator[tuple[Column, list[Value]]]:
        """Yield each column of a field that is comparable with some of the values, with those."""
        alike: dict[str, dict[Value, None]] = {}
        for value in values:
            alike.setdefault(kind_of(value), {})[value] = None
        for same in alike.values():
            distinct = list(same)
            for column in self.of(field, distinct[0]):
                yield column, distinct

    def of(self, field: str, like: Value | None = None) -> list[Column]:
        """Return the columns of a field: all of them, or those comparable with a value."""
        kinds = self._columns.get(field, {})
        if like is None:
            return list(kinds.values())
        comparable = ("int", "float") if kind_of(like) in ("int", "float") else (kind_of(like),)
        return [column for kind, column in kinds.items() if kind in comparable]
