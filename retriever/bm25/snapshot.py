"""An index at one commit: what every search sees from its beginning to its end."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retriever.base import CorruptIndexError
from retriever.bm25.manifest import Manifest
from retriever.bm25.masks import check_fields, filter_mask
from retriever.bm25.segment import Segment, Totals
from retriever.bm25.storage import Storage
from retriever.documents import Document
from retriever.filters import Filter
from retriever.scoring import Lucene, Scoring

if TYPE_CHECKING:
    from retriever.bm25.kernels import Scratch

__all__ = ["Snapshot", "TermStatistics", "load_snapshot"]

_REMEMBERED_TERMS = 1 << 16


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """What a collection knows of one term.

    Attributes:
        df: in how many documents it stands.
        numbers: (s,) its number in each segment, -1 where it is not.

    """

    df: int
    numbers: tuple[int, ...]


class Snapshot:
    """The segments of one commit with their common statistics; safe to use from many threads.

    Documents are numbered through all segments, oldest first; a deleted one keeps its number until
    its segment is merged.

    Attributes:
        manifest: of the commit.
        segments: (s,) oldest first.
        scoring: the formula of this view; the index's own unless told otherwise.
        totals: of the living documents.

    """

    def __init__(self, manifest: Manifest, segments: Sequence[Segment], scoring: Scoring) -> None:
        self.manifest = manifest
        self.segments = tuple(segments)
        self.scoring = scoring
        self.totals = sum((segment.totals for segment in self.segments), Totals())
        self._bases = list(accumulate(map(len, self.segments), initial=0))
        self._local = threading.local()
        self._statistics: dict[str, TermStatistics] = {}

    def __len__(self) -> int:
        return self.totals.documents

    @property
    def n_docs(self) -> int:
        """N of the formula. Lucene counts the documents that have a term, the others count all."""
        lucene = isinstance(self.scoring, Lucene)
        return self.totals.nonempty if lucene else self.totals.documents

    @property
    def average_length(self) -> float:
        """The mean length of the ``n_docs`` documents in terms; 1 where none has a term."""
        return self.totals.length / self.n_docs if self.totals.length else 1.0

    @cached_property
    def fields(self) -> set[str]:
        """The metadata fields that a document has."""
        return {field for segment in self.segments for field in segment.columns.fields}

    @cached_property
    def impacts(self) -> list[NDArray[np.float32]]:
        """What each segment's distinct pairs (tf, length) are worth; see ``Postings.impacts``."""
        return [
            segment.postings.impacts(self.scoring, self.average_length) for segment in self.segments
        ]

    def term_statistics(self, term: str) -> TermStatistics:
        """Return what is known of an analysed term."""
        known = self._statistics.get(term)
        if known is None:
            if len(self._statistics) >= _REMEMBERED_TERMS:
                self._statistics.clear()
            known = self._statistics[term] = self._look_up(term)
        return known

    def _look_up(self, term: str) -> TermStatistics:
        numbers = tuple(segment.terms.find(term) for segment in self.segments)
        found = zip(self.segments, numbers, strict=True)
        return TermStatistics(sum(seg.df(i) for seg, i in found if i >= 0), numbers)

    def idf(self, statistics: Sequence[TermStatistics]) -> NDArray[np.float64]:
        """Return the weights of (t,) terms that stand in at least one document each."""
        dfs = [each.df for each in statistics]
        return self.scoring.idf(dfs, self.n_docs, floor=self._idf_floor)

    def search(
        self, terms: Mapping[str, float], k: int, filter: Filter | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best documents' numbers and scores, best first, of equal ones the oldest.

        Args:
            terms: analysed terms, with how much each counts (how often it stands in the query).
            k: how many documents at most; at least 1.
            filter: only documents that match it are considered.

        Returns:
            numbers (r,) int64, scores (r,) float32.

        Raises:
            QueryError: when the filter names a field that no document has.

        """
        self.check(filter)
        known = [(self.term_statistics(term), count) for term, count in terms.items()]
        known = [(statistics, count) for statistics, count in known if statistics.df]
        if not known:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        weights = self.idf([each for each, _ in known]) * [count for _, count in known]
        rows = np.array([each.numbers for each, _ in known], np.int32)

        def search(i: int, threshold: float) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
            here = rows[:, i] >= 0
            terms, mask = rows[here, i], self.allowed(i, filter)
            return self.top_k(i, terms, weights[here].astype(np.float32), k, mask, threshold)

        numbers, scores = self.collect(k, search)
        return numbers, scores + np.float32(weights.sum() * self.scoring.baseline)

    def collect(
        self,
        k: int,
        search: Callable[[int, float], tuple[NDArray[np.int32], NDArray[np.float32]]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Join the best documents of all segments.

        Args:
            k: how many documents at most; at least 1.
            search: a segment's number and a threshold -> its best documents and their scores;
                none that does not exceed the threshold is needed.

        Returns:
            numbers (r,) int64, scores (r,) float32, best first, of equal ones the oldest.

        """
        if len(self.segments) == 1:
            found, scores = search(0, -np.inf)
            return found.astype(np.int64), scores
        numbers, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for i, base in enumerate(self._bases[:-1]):
            found, more = search(i, float(scores[k - 1]) if len(scores) >= k else -np.inf)
            numbers = np.concatenate((numbers, found + np.int64(base)))
            scores = np.concatenate((scores, more))
            best = np.argsort(-scores, kind="stable")[:k]
            numbers, scores = numbers[best], scores[best]
        return numbers, scores

    def check(self, filter: Filter | None) -> None:
        """Refuse a filter on a field that no document has.

        Raises:
            QueryError: naming the field, and those that are spelled nearly so.

        """
        if filter is not None and len(self):
            check_fields(filter, self.fields)

    def allowed(self, i: int, filter: Filter | None) -> NDArray[np.bool_] | None:
        """Return which documents of a segment live and match: (n,) bool, ``None`` for all."""
        segment = self.segments[i]
        if filter is None:
            return segment.alive
        matching = filter_mask(filter, segment.columns, len(segment))
        return matching if segment.alive is None else matching & segment.alive

    def top_k(
        self,
        i: int,
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        k: int,
        mask: NDArray[np.bool_] | None,
        threshold: float,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Search one segment by its own term numbers: see ``kernels.top_k``."""
        from retriever.bm25.kernels import top_k

        return top_k(
            self.segments[i].postings,
            terms,
            weights,
            self.impacts[i],
            k,
            mask=None if mask is None else mask.view(np.uint8),
            scratch=self._scratch(),
            threshold=threshold,
        )

    def find(self, id: str) -> int:
        """Return the number of the document with this id, or -1 where there is none."""
        for base, segment in zip(self._bases, self.segments, strict=False):
            number = segment.find(id)
            if number >= 0:
                return base + number
        return -1

    def id(self, number: int) -> str:
        """Return a document's id."""
        segment, local = self.locate(number)
        return segment.documents.ids[local]

    def contents(self, number: int) -> str:
        """Return a document's title and text as one."""
        segment, local = self.locate(number)
        return segment.documents.contents(local)

    def document(self, number: int) -> Document:
        """Return a whole document."""
        segment, local = self.locate(number)
        return segment.documents.document(local)

    def documents(self) -> Iterator[Document]:
        """Yield all living documents in the order of their numbers."""
        for segment in self.segments:
            for number in range(len(segment)):
                if segment.alive is None or segment.alive[number]:
                    yield segment.documents.document(number)

    def locate(self, number: int) -> tuple[Segment, int]:
        """Return a document's segment and its number there."""
        i = bisect_right(self._bases, number) - 1
        return self.segments[i], number - self._bases[i]

    def _scratch(self) -> Scratch:
        from retriever.bm25.kernels import Scratch

        if not hasattr(self._local, "scratch"):
            self._local.scratch = Scratch(max(map(len, self.segments)))
        scratch: Scratch = self._local.scratch
        return scratch

    @cached_property
    def _idf_floor(self) -> float | None:
        dfs: dict[str, int] = {}
        if self.scoring.floor(np.ones(1), 1) is None:  # a formula without one reads no df
            return None
        for segment in self.segments:
            for term, df in zip(segment.terms, segment.dfs().tolist(), strict=True):
                dfs[term] = dfs.get(term, 0) + df
        living = np.array([df for df in dfs.values() if df], np.int64)
        return self.scoring.floor(living, self.n_docs)


def load_snapshot(storage: Storage, scoring: Scoring, previous: Snapshot | None = None) -> Snapshot:
    """Open the newest commit; segments that ``previous`` has open too are shared with it."""
    while True:
        manifest = storage.manifest()
        try:
            return Snapshot(manifest, _open(storage, manifest, previous), scoring)
        except (FileNotFoundError, CorruptIndexError) as error:
            # A writer may have replaced this commit, and removed its files, in the meantime; even
            # a file's name may have come back with another's contents.
            if storage.manifest() != manifest:
                continue
            if isinstance(error, CorruptIndexError):
                raise
            raise CorruptIndexError(
                f"{error.filename}: expected a file of the index, but it is missing; "
                "restore the folder from a copy or build the index again"
            ) from error


def _open(storage: Storage, manifest: Manifest, previous: Snapshot | None) -> list[Segment]:
    opened = {} if previous is None else {s.record.file: s for s in previous.segments}
    segments = []
    for record in manifest.segments:
        old = opened.get(record.file)
        if old is not None and old.record == record:
            segments.append(old)
            continue
        arrays = storage.read(record.file) if old is None else old.arrays
        deletes = None if record.deletes is None else storage.read(record.deletes)
        segments.append(Segment(record, arrays, deletes))
    return segments
