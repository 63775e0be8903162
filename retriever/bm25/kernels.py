"""Exact top-k of a query in one segment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retriever.bm25.postings import Postings

__all__ = ["Scratch", "top_k", "warm"]


class Scratch:
    """What a search writes to, kept from query to query: one for each thread.

    Args:
        n_docs: of the largest segment that is searched with it.

    """

    __slots__ = ("scores",)

    def __init__(self, n_docs: int) -> None:
        self.scores = np.zeros(n_docs, dtype=np.float32)


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
    """Return the best documents and their scores, best first, of equal ones the first first.

    A score is the sum, in float32, of ``weights[i] * impacts[code]`` over the terms that the
    document has, in the order of falling weight (equal weights: as they come in ``terms``).

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
    if mask is None:
        mask = _NO_MASK
    found, docs, scores = _exhaustive(
        postings.starts,
        postings.docs,
        postings.codes,
        impacts,
        terms,
        weights,
        min(k, postings.n_docs),
        mask,
        scratch.scores,
        np.float32(threshold),
    )
    return docs[:found], scores[:found]


_NO_MASK = np.empty(0, dtype=np.uint8)


def warm() -> None:
    """Compile every kernel now, into the cache on disk."""


@njit(nogil=True, cache=True)
def _exhaustive(starts, docs, codes, impacts, terms, weights, k, mask, acc, threshold):
    n = len(acc)
    seen = np.zeros(n, np.uint8)
    order = np.argsort(-weights, kind="mergesort")
    for j in order:
        w = weights[j]
        for p in range(starts[terms[j]], starts[terms[j] + 1]):
            acc[docs[p]] += w * impacts[codes[p]]
            seen[docs[p]] = 1
    if len(mask):
        for d in range(len(mask)):
            if not mask[d]:
                seen[d] = 0
    hits = np.nonzero(seen)[0].astype(np.int32)
    scores = acc[hits]
    best = np.argsort(-scores, kind="mergesort")[:k]
    out_docs, out_scores = hits[best], scores[best]
    acc[:] = 0
    found = 0
    while found < len(best) and out_scores[found] > threshold:
        found += 1
    return found, out_docs, out_scores
