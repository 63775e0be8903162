"""An index at one commit: what every search sees from its beginning to its end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import CorruptIndexError
from twopass.retriever.filters.base import Filter, check_fields
from twopass.retriever.hits import Hits
from twopass.retriever.index.manifest import Manifest
from twopass.retriever.index.segment import Segment, Totals
from twopass.retriever.index.storage import Storage
from twopass.retriever.index.term_search import Batch
from twopass.retriever.index.terms import Lexicon
from twopass.retriever.scoring import Lucene, Scoring

if TYPE_CHECKING:
    from twopass.retriever.index.term_search import Scratch

__all__ = ["Snapshot", "load_snapshot"]


class Snapshot:
    """The segments of one commit with their common statistics; safe to use from many threads.

    Documents are numbered through all segments, oldest first; a deleted one keeps its number until
    its segment is merged.

    Attributes:
        manifest: of the commit.
        segments: (s,) oldest first.
        scoring: the formula of this view; the index's own unless another is given.
        totals: of the living documents.

    """

    def __init__(self, manifest: Manifest, segments: Sequence[Segment], scoring: Scoring) -> None:
        self.manifest = manifest
        self.segments = tuple(segments)
        self.scoring = scoring
        self.totals = sum((segment.totals for segment in self.segments), Totals())
        self._bases = list(accumulate(map(len, self.segments), initial=0))
        self._scratches: list[Scratch] = []

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
        """What each segment's distinct pairs (tf, length) are worth, ``padded`` for the search."""
        from twopass.retriever.index.term_search import padded

        return [
            padded(segment.postings.impacts(self.scoring, self.average_length))
            for segment in self.segments
        ]

    @cached_property
    def lexicon(self) -> Lexicon:
        """What is known of the terms."""
        return Lexicon(self.segments, self.scoring, self.n_docs)

    def warm(self) -> None:
        """Do now what the first search would wait for."""
        from twopass.retriever.index import strings, term_search

        strings.warm()
        term_search.warm({segment.postings.codes.dtype.name for segment in self.segments})
        self.impacts  # noqa: B018 - computed when it is first asked for

    def search(
        self,
        queries: Sequence[Mapping[str, float]],
        k: int,
        masks: Sequence[NDArray[np.bool_] | None] | None = None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Return each query's best documents and scores, best first, of equal ones the oldest.

        Args:
            queries: (q,) analysed terms, with how much each counts (how often it stands there).
            k: how many documents at most, a query; at least 1.
            masks: what :meth:`masks` gave; ``None`` for all living documents.

        Returns:
            q times numbers (r,) int64, scores (r,) float32.

        """
        from twopass.retriever.index.term_search import Best, search

        batch = Batch.of(queries, self.lexicon)
        best = Best(len(queries), min(k, self._bases[-1]))
        masks = [segment.alive for segment in self.segments] if masks is None else masks
        with self._scratch() as scratch:
            for i, (segment, mask) in enumerate(zip(self.segments, masks, strict=True)):
                search(
                    segment.postings,
                    batch.numbers[i],
                    batch.weights,
                    batch.offsets,
                    self.impacts[i],
                    best,
                    mask=None if mask is None else mask.view(np.uint8),
                    base=self._bases[i],
                    scratch=scratch,
                )
        found = list(best.ranked())
        if self.scoring.baseline:
            for (_, scores), weight in zip(found, batch.totals(), strict=True):
                scores += np.float32(weight * self.scoring.baseline)
        return found

    def masks(self, filter: Filter | None) -> list[NDArray[np.bool_] | None]:
        """Return which documents of each segment live and match: (n,) bool, ``None`` for all.

        Raises:
            QueryError: when the filter names a field that no document has.

        """
        self.check(filter)
        return [self._mask(segment, filter) for segment in self.segments]

    def collect(
        self, k: int, search: Callable[[int, float], tuple[NDArray[np.int32], NDArray[np.float32]]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Join the best documents of all segments.

        Args:
            k: how many documents at most; at least 1.
            search: a segment's number and a threshold -> its best documents and their scores;
                none that does not exceed the threshold is needed.

        Returns:
            numbers (r,) int64, scores (r,) float32, best first, of equal ones the oldest.

        """
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

    def _mask(self, segment: Segment, filter: Filter | None) -> NDArray[np.bool_] | None:
        if filter is None:
            return segment.alive
        matching = filter.mask(segment.columns, len(segment))
        return matching if segment.alive is None else matching & segment.alive

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

    def hits(self, found: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> list[Hits]:
        """Fetch the ids and texts of what searches found; of a document in several, once."""
        numbers = np.concatenate([np.empty(0, np.int64), *(each for each, _ in found)])
        distinct, places = np.unique(numbers, return_inverse=True)
        ids, texts = np.empty(len(distinct), np.object_), np.empty(len(distinct), np.object_)
        cuts = np.searchsorted(distinct, self._bases).tolist()
        for segment, base, part in zip(
            self.segments, self._bases, map(slice, cuts, cuts[1:]), strict=False
        ):
            local = distinct[part] - base
            ids[part] = segment.documents.ids.take(local)
            texts[part] = segment.documents.contents_of(local)
        ends = accumulate((len(each) for each, _ in found), initial=0)
        shares = [places[start:end] for start, end in pairwise(ends)]
        return [
            Hits(ids[where], scores, texts[where])
            for where, (_, scores) in zip(shares, found, strict=True)
        ]

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

    @contextmanager
    def _scratch(self) -> Iterator[Scratch]:
        """Lend what a search writes to: as many are kept as searched at a time."""
        from twopass.retriever.index.term_search import Scratch

        try:
            scratch = self._scratches.pop()
        except IndexError:
            scratch = Scratch(max(map(len, self.segments), default=0))
        yield scratch
        self._scratches.append(scratch)  # not after an error, which may leave it half used


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
