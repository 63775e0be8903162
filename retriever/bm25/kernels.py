"""Exact top-k of many queries in one segment after another.

The compiled part is :mod:`retriever.bm25.pruning`. numba compiles it at its first use in the life
of an installation, in some seconds, and keeps the result beside the module (or, where that is not
writable, in the user's cache; ``NUMBA_CACHE_DIR`` names another place): every later process
loads it. :func:`warm` does it ahead, for both widths of codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.postings import Postings, build_postings, read_only

__all__ = ["Best", "Scratch", "search", "warm"]


_NO_MASK = read_only(np.empty(0, dtype=np.uint8))


class Scratch:
    """What a search writes to, kept from query to query: one for each thread.

    Args:
        n_docs: of the largest segment that is searched with it.

    """

    __slots__ = ("candidates", "scores", "seen")

    def __init__(self, n_docs: int) -> None:
        self.scores = np.zeros(n_docs, dtype=np.float32)
        self.candidates = np.empty(n_docs + 1, dtype=np.uint32)
        self.seen = np.zeros(n_docs, dtype=np.uint8)


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
        from retriever.bm25.pruning import finish

        finish(self.numbers, self.scores, self.sizes)
        for i, size in enumerate(self.sizes.tolist()):
            yield self.numbers[i, :size], self.scores[i, :size]


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

    A score is the sum, in float32, of ``weights[i] * impacts[code]`` over the terms that the
    document has, in the order of falling weight (equal weights: as they come in ``terms``): the
    same to the last bit in whichever segment the document is, and however it was found.

    Args:
        postings: the segment.
        terms: (m,) int32: the queries' terms one after another, no two of a query the same;
            -1 for one that the segment does not have.
        weights: (m,) float32: each term's idf times how often it stands in the query.
        offsets: (q + 1,) int64: query i has the terms ``offsets[i]`` to ``offsets[i + 1]``.
        impacts: (c,) float32, what :meth:`Postings.impacts` gave.
        best: of the segments before this one.
        mask: (n,) uint8, 0 for a document that must not be returned; ``None`` for none such.
        base: the number of the segment's first document; all before have lower ones.
        scratch: for at least n documents.

    """
    from retriever.bm25.pruning import search

    search(
        postings.starts,
        postings.docs,
        postings.codes,
        postings.frontier_starts,
        postings.frontier_codes,
        postings.column_terms,
        postings.columns,
        postings.n_docs,
        impacts,
        terms,
        weights,
        offsets,
        _NO_MASK if mask is None else read_only(mask),
        base,
        scratch.scores,
        scratch.candidates,
        scratch.seen,
        best.numbers,
        best.scores,
        best.sizes,
    )


def warm() -> None:
    """Compile the search for both widths of codes, into the cache on disk."""
    narrow = build_postings(np.zeros(1, np.int32), np.array([0, 1], np.int64), 1)
    codes = ("codes", "frontier_codes", "columns")
    wide = replace(narrow, **{name: getattr(narrow, name).astype(np.uint32) for name in codes})
    for postings in (narrow, wide):
        one = np.ones(1, dtype=np.float32)
        query = np.zeros(1, np.int32), one, np.array([0, 1], np.int64)
        best = Best(1, 1)
        search(postings, *query, one, best, scratch=Scratch(1))
        list(best.ranked())
