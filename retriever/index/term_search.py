"""Exact top-k of many queries: the queries as flat arrays, through one segment after another.

The loops are in :mod:`twopass.retriever.native.loops`; :func:`warm` loads them ahead of the first
search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.index.postings import Postings
from twopass.retriever.index.terms import Lexicon
from twopass.retriever.native.function import Function
from twopass.retriever.native.loops.records import Lists, Queries, Top, Work

__all__ = [
    "Batch",
    "Best",
    "Scratch",
    "padded",
    "search",
    "warm",
]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The terms of q queries, one after another, m of them; of a query by falling weight.

    Attributes:
        numbers: (s, m) int32: each term's number in each segment, -1 where it is not.
        weights: (m,) float32: idf times how much the term counts in its query.
        offsets: (q + 1,) int64: query i has the terms ``offsets[i]`` to ``offsets[i + 1]``.

    """

    numbers: NDArray[np.int32]
    weights: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, queries: Sequence[Mapping[str, float]], lexicon: Lexicon) -> Self:
        """Look up each distinct term once."""
        terms = list(chain.from_iterable(queries))
        n, shape = len(terms), (len(terms), lexicon.n_segments)
        known = lexicon.statistics(terms)
        found = map(known.__getitem__, terms)
        dfs, idfs, rows = zip(*found, strict=True) if terms else ((), (), ())
        numbers = np.fromiter(chain.from_iterable(rows), np.int32, n * shape[1]).reshape(shape)
        counts = np.fromiter(chain.from_iterable(each.values() for each in queries), np.float64, n)
        weights = (np.fromiter(idfs, np.float64, n) * counts).astype(np.float32)
        owners = np.repeat(np.arange(len(queries)), list(map(len, queries)))
        there = np.flatnonzero(np.fromiter(dfs, np.int64, n))
        # Each query's terms by falling weight, equal ones as they come.
        order = there[np.lexsort((-weights[there], owners[there]))]
        sizes = np.bincount(owners[there], minlength=len(queries))
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)))
        return cls(np.ascontiguousarray(numbers[order].T), weights[order], offsets)

    def totals(self) -> Iterator[float]:
        """Yield the sum of each query's weights."""
        for start, end in pairwise(self.offsets.tolist()):
            yield float(self.weights[start:end].sum(dtype=np.float64))


_WORK = Work(
    scores="float32[]",
    candidates="uint32[]",
    seen="uint8[]",
    weights="float32[]",
    begins="int64[]",
    ends="int64[]",
    columns="int64[]",
    rest="float64[]",
    counts="int64[]",
)
_TOP = Top(docs="int64[]", scores="float32[]", sizes="int64[]")
_BY_TERM = {
    "weights": np.float32,
    "begins": np.int64,
    "ends": np.int64,
    "columns": np.int64,
    "rest": np.float64,
}
_BINS = 512  # of the histogram that the first floor is read from
_NO_MASK = np.empty(0, dtype=np.uint8)


def _lists(codes: str) -> Lists:
    return Lists(
        starts="int64[]",
        docs="uint32[]",  # an unsigned index needs no check for being negative
        codes=codes,
        frontier_starts="int64[]",
        frontier_codes=codes,
        column_terms="int32[]",
        columns=codes,
        n_docs="int64",
    )


def _search(codes: str) -> Function:
    queries = Queries(terms="int32[]", weights="float32[]", offsets="int64[]")
    return Function(
        "twopass.retriever.native.loops.pruning:search",
        *(_lists(codes), "float32[]", queries, "uint8[]", "int64", _WORK, _TOP),
    )


_SEARCH = {codes: _search(f"{codes}[]") for codes in ("uint16", "uint32")}
_FINISH = Function("twopass.retriever.native.loops.accumulators:finish", _TOP)


class Scratch:
    """What a search writes to, kept from query to query: one for each thread.

    Args:
        n_docs: of the largest segment that is searched with it.

    """

    __slots__ = ("_work", "scores", "seen")

    def __init__(self, n_docs: int) -> None:
        self.scores = np.zeros(n_docs, dtype=np.float32)
        self.seen = np.zeros(n_docs, dtype=np.uint8)
        self._work = Work(
            self.scores,
            np.empty(n_docs + 1, dtype=np.uint32),
            self.seen,
            **{name: np.empty(0, dtype) for name, dtype in _BY_TERM.items()},
            counts=np.empty(_BINS, np.int64),
        )

    def work(self, terms: int) -> Work:
        """Return what the loop takes, for queries of so many terms together."""
        if len(self._work.rest) <= terms:
            room = 2 * terms + 62
            work = {name: np.empty(room, dtype) for name, dtype in _BY_TERM.items()}
            self._work = self._work._replace(**work)
        return self._work


class Best:
    """The best k documents of each of q queries, as far as segments were searched.

    Attributes:
        numbers: (q, k) int64, scores: (q, k) float32: each row a heap of the documents so far.
        sizes: (q,) int64: how many these are.

    """

    __slots__ = ("numbers", "scores", "sizes")

    def __init__(self, queries: int, k: int) -> None:
        cells = queries * k
        memory = np.empty(12 * cells, dtype=np.uint8)  # all that grows with k, at once
        self.numbers = memory[: 8 * cells].view(np.int64).reshape(queries, k)
        self.scores = memory[8 * cells :].view(np.float32).reshape(queries, k)
        self.sizes = np.zeros(queries, dtype=np.int64)

    def ranked(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield each query's (r,) documents and scores, best first, of equal ones the lowest.

        No segment can be searched after that.
        """
        _FINISH(self.top)
        for i, size in enumerate(self.sizes.tolist()):
            yield self.numbers[i, :size], self.scores[i, :size]

    @property
    def top(self) -> Top:
        """What the loops take."""
        return Top(self.numbers, self.scores, self.sizes)


def padded(impacts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (c,) impacts after a 0, which columns mean where a document has not the term."""
    return np.concatenate((np.zeros(1, np.float32), impacts))


def search(
    postings: Postings,
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    offsets: NDArray[np.int64],
    impacts: NDArray[np.float32],
    best: Best,
    *,
    mask: NDArray[np.uint8] | None = None,
    base: int = 0,
    scratch: Scratch,
) -> None:
    """Search one segment for q queries, and put what is better into ``best``.

    A score is the sum, in float32, of ``weights[i] * impacts[code + 1]`` over the terms that the
    document has, in the order in which they come: the same to the last bit in whichever segment
    the document is, and however it was found.

    Args:
        postings: the segment.
        terms: (m,) int32: the queries' terms one after another, no two of a query the same, in
            the order of falling weight; -1 for one that the segment does not have.
        weights: (m,) float32: each term's idf times how often it stands in the query.
        offsets: (q + 1,) int64: query i has the terms ``offsets[i]`` to ``offsets[i + 1]``.
        impacts: (c + 1,) float32, what :meth:`Postings.impacts` gave, :func:`padded`.
        best: of the segments before this one.
        mask: (n,) uint8, 0 for a document that must not be returned; ``None`` for none such.
        base: the number of the segment's first document; all before have lower ones.
        scratch: for at least n documents.

    """
    _SEARCH[postings.codes.dtype.name](
        Lists(
            postings.starts,
            postings.docs.view(np.uint32),
            postings.codes,
            postings.frontier_starts,
            postings.frontier_codes,
            postings.column_terms,
            postings.columns,
            postings.n_docs,
        ),
        impacts,
        Queries(terms, weights, offsets),
        _NO_MASK if mask is None else mask,
        base,
        scratch.work(len(terms)),
        best.top,
    )


def warm(codes: Iterable[str] = tuple(_SEARCH)) -> None:
    """Load the search, compiled if need be, for codes of these dtypes (default: both)."""
    for function in (*(_SEARCH[each] for each in codes), _FINISH):
        function.load()
