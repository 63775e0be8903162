"""Exact top-k of a query in one segment.

The compiled part is :mod:`retriever.bm25.pruning`. numba compiles it at its first use in the life
of an installation, in some seconds, and keeps the result beside the module (or, where that is not
writable, in the user's cache; ``NUMBA_CACHE_DIR`` names another place): every later process
loads it. :func:`warm` does it ahead, for both widths of codes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.postings import Postings, build_postings, read_only

__all__ = ["Scratch", "top_k", "warm"]


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


def top_k(
    postings: Postings,
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    impacts: NDArray[np.float32],
    k: int,
    *,
    mask: NDArray[np.uint8] | None = None,
    scratch: Scratch,
    threshold: float = -np.inf,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the best documents and their scores, best first, of equal scores the first document.

    A score is the sum, in float32, of ``weights[i] * impacts[code]`` over the terms that the
    document has, in the order of falling weight (equal weights: as they come in ``terms``): the
    same to the last bit in whichever segment the document is, and however it was found.

    Args:
        postings: the segment.
        terms: (m,) int32, no two the same.
        weights: (m,) float32: each term's idf times how often it stands in the query.
        impacts: (c,) float32, what :meth:`Postings.impacts` gave.
        k: how many documents at most; at least 1.
        mask: (n,) uint8, 0 for a document that must not be returned; ``None`` for none such.
        scratch: for at least n documents.
        threshold: only documents with a score above it are returned.

    Returns:
        docs (r,) int32, scores (r,) float32.

    """
    from retriever.bm25.pruning import search

    k = min(k, postings.n_docs)
    docs, scores = np.empty(k, dtype=np.int32), np.empty(k, dtype=np.float32)
    found = search(
        postings.starts,
        postings.docs,
        postings.codes,
        postings.frontier_starts,
        postings.frontier_codes,
        postings.column_terms,
        postings.columns,
        postings.n_docs,
        impacts,
        np.ascontiguousarray(terms, dtype=np.int32),
        np.ascontiguousarray(weights, dtype=np.float32),
        _NO_MASK if mask is None else read_only(mask),
        np.float32(threshold),
        scratch.scores,
        scratch.candidates,
        scratch.seen,
        docs,
        scores,
    )
    return docs[:found], scores[:found]


def warm() -> None:
    """Compile the search for both widths of codes, into the cache on disk."""
    narrow = build_postings(np.zeros(1, np.int32), np.array([0, 1], np.int64), 1)
    codes = ("codes", "frontier_codes", "columns")
    wide = replace(narrow, **{name: getattr(narrow, name).astype(np.uint32) for name in codes})
    for postings in (narrow, wide):
        one = np.ones(1, dtype=np.float32)
        top_k(postings, np.zeros(1, np.int32), one, one, 1, scratch=Scratch(1))
