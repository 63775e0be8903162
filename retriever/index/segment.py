"""A segment: some documents, whole and immutable, and which of them were deleted since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twopass.retriever.index.arrays import ArraySink, Container
from twopass.retriever.index.document_store import DocumentStore
from twopass.retriever.index.manifest import FileRecord, SegmentRecord
from twopass.retriever.index.metadata import Columns
from twopass.retriever.index.postings import Postings
from twopass.retriever.index.storage import Storage
from twopass.retriever.index.strings import StringTable, put_strings

__all__ = ["Deletions", "Segment", "Totals", "allocator", "copy_segment", "put_index", "put_totals"]


@dataclass(frozen=True, slots=True)
class Totals:
    """What the documents of a collection add up to.

    Attributes:
        documents: how many.
        nonempty: how many of them have a term.
        length: how many terms they have together.

    """

    documents: int = 0
    nonempty: int = 0
    length: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.documents + other.documents,
            self.nonempty + other.nonempty,
            self.length + other.length,
        )

    @classmethod
    def of(cls, lengths: NDArray[np.int32]) -> Totals:
        """Count documents by their (n,) lengths."""
        return cls(len(lengths), int(np.count_nonzero(lengths)), int(lengths.sum(dtype=np.int64)))


def put_totals(sink: ArraySink, totals: Totals) -> None:
    """Write totals."""
    values = [totals.documents, totals.nonempty, totals.length]
    sink.put("totals", np.array(values, np.int64))


def put_index(sink: ArraySink, postings: Postings, terms: Iterable[str]) -> None:
    """Write postings, but for what was made in the sink, their totals and their terms."""
    for field in fields(Postings):
        name = f"postings.{field.name}"
        if name not in sink:
            sink.put(name, getattr(postings, field.name))
    put_totals(sink, Totals.of(postings.lengths))
    put_strings(sink, "terms", terms)


def allocator(sink: ArraySink) -> Callable[[str, int, DTypeLike], NDArray[Any]]:
    """Return what makes the arrays of postings in the sink, for ``merge_postings``."""
    return lambda field, length, dtype: sink.reserve(f"postings.{field}", (length,), dtype)


def _totals(arrays: Mapping[str, NDArray[Any]]) -> Totals:
    return Totals(*arrays["totals"].tolist())


class Deletions:
    """Which documents of a segment are gone at one commit, and what its terms lost by them.

    Attributes:
        alive: (n,) bool.
        totals: of the documents that are left.

    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], n: int) -> None:
        self.arrays = arrays
        self.alive = np.unpackbits(arrays["alive"], count=n).view(np.bool_)
        self.totals = _totals(arrays)
        self.terms: NDArray[np.int32] = arrays["terms"]
        self.counts: NDArray[np.int32] = arrays["counts"]

    def verify(self) -> None:
        """Compare the file with its checksums; CorruptIndexError where it differs."""
        if isinstance(self.arrays, Container):
            self.arrays.verify()

    def lost(self, term: int) -> int:
        """Return how many of a term's documents are gone."""
        at = int(self.terms.searchsorted(np.int32(term)))
        found = at < len(self.terms) and self.terms[at] == term
        return int(self.counts[at]) if found else 0


class Segment:
    """One segment at one commit."""

    def __init__(
        self,
        record: SegmentRecord,
        arrays: Mapping[str, NDArray[Any]],
        deletes: Mapping[str, NDArray[Any]] | None,
    ) -> None:
        self.record = record
        self.arrays = arrays
        self.postings = Postings(*(arrays[f"postings.{field.name}"] for field in fields(Postings)))
        self.terms = StringTable(arrays, "terms")
        self.documents = DocumentStore(arrays)
        self.columns = Columns(arrays)
        self.deletions = None if deletes is None else Deletions(deletes, len(self.documents))
        self.totals = _totals(arrays) if self.deletions is None else self.deletions.totals

    def __len__(self) -> int:
        """Return how many document numbers it has, those of deleted documents included."""
        return len(self.documents)

    @property
    def alive(self) -> NDArray[np.bool_] | None:
        """(n,) bool, which documents are not deleted; ``None`` when all are there."""
        return None if self.deletions is None else self.deletions.alive

    def verify(self) -> None:
        """Read all files and compare them with their checksums.

        Raises:
            CorruptIndexError: naming the file and what is damaged in it.

        """
        if isinstance(self.arrays, Container):
            self.arrays.verify()
        if self.deletions is not None:
            self.deletions.verify()

    def find(self, id: str) -> int:
        """Return the number of the document with this id, or -1 where there is none."""
        number = self.documents.ids.find(id)
        if number >= 0 and self.deletions is not None and not self.deletions.alive[number]:
            return -1
        return number

    def df(self, term: int) -> int:
        """Return in how many living documents a term, given by its number here, stands."""
        starts = self.postings.starts
        df = int(starts[term + 1] - starts[term])
        return df if self.deletions is None else df - self.deletions.lost(term)

    def dfs(self) -> NDArray[np.int64]:
        """Return in how many living documents each term stands: (t,) int64."""
        dfs = self.postings.df
        if self.deletions is not None:
            dfs[self.deletions.terms] -= self.deletions.counts
        return dfs


def copy_segment(segment: Segment, storage: Storage) -> SegmentRecord:
    """Write a segment with its deletions into another storage.

    Raises:
        CorruptIndexError: when it is damaged, which new checksums would hide.

    """
    segment.verify()
    file = _copy(segment.arrays, storage, "segment")
    if segment.deletions is None:
        return SegmentRecord(file)
    return SegmentRecord(file, _copy(segment.deletions.arrays, storage, "deletes"))


def _copy(arrays: Mapping[str, NDArray[Any]], storage: Storage, kind: str) -> FileRecord:
    name = storage.new_name(kind)
    with storage.write(name) as sink:
        for key, array in arrays.items():
            sink.put(key, array)
    return storage.record(name)
