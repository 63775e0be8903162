"""The best k so far, in a binary heap whose root is the worst of them.

Of two documents the better has the higher score, of equal scores the lower number.
"""

from __future__ import annotations

from typing import Any

from numba import njit

__all__ = ["finish", "push"]


@njit
def finish(top: Any) -> None:
    """Turn each query's heap into a list, best first."""
    k = len(top.docs) // max(1, len(top.sizes))
    for q in range(len(top.sizes)):
        _sort(top.docs[q * k : q * k + k], top.scores[q * k : q * k + k], top.sizes[q])


@njit
def push(docs: Any, scores: Any, size: int, doc: Any, score: Any) -> int:
    """Put a document in: in place of the root when the heap is full. Return the new size."""
    if size == len(docs):
        if _worse(doc, score, docs[0], scores[0]):
            return size
        _sink(docs, scores, size, doc, score)
        return size
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if not _worse(doc, score, docs[parent], scores[parent]):
            break
        docs[at], scores[at] = docs[parent], scores[parent]
        at = parent
    docs[at], scores[at] = doc, score
    return size + 1


@njit
def _sort(docs: Any, scores: Any, size: int) -> None:
    for end in range(size - 1, 0, -1):
        doc, score = docs[end], scores[end]
        docs[end], scores[end] = docs[0], scores[0]
        _sink(docs, scores, end, doc, score)


@njit
def _sink(docs: Any, scores: Any, size: int, doc: Any, score: Any) -> None:
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _worse(
            docs[child + 1], scores[child + 1], docs[child], scores[child]
        ):
            child += 1
        if not _worse(docs[child], scores[child], doc, score):
            break
        docs[at], scores[at] = docs[child], scores[child]
        at = child
    docs[at], scores[at] = doc, score


@njit
def _worse(doc: Any, score: Any, other: Any, other_score: Any) -> bool:
    return bool(score < other_score or (score == other_score and doc > other))
