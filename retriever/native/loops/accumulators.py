"""The accumulators of one segment's scores, and the heap of the best k.

Of two documents the better has the higher score, of equal scores the lower number.

``work`` is a ``Work``, of which ``n`` candidates are kept; the postings ``begin`` to ``end`` of
``lists`` are those of one term. Loops that run over every posting are written without branches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "add",
    "add_column",
    "add_to_candidates",
    "collect",
    "exhaust",
    "finish",
    "first_from",
    "forget",
    "gallop",
    "keep_above",
    "keep_allowed",
    "push",
]


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


@njit
def add(lists: Any, impacts: Any, weight: Any, begin: int, end: int, work: Any, n: int) -> int:
    """Add postings to the scores, new documents to the n candidates; return their new number."""
    docs, codes, scores, candidates = lists.docs, lists.codes, work.scores, work.candidates
    of_code = impacts.of_code
    size = np.uint64(n)
    for p in range(np.uint64(begin), np.uint64(end)):
        doc = docs[p]
        score = scores[doc]
        candidates[size] = doc
        size += np.uint64(score == 0)
        scores[doc] = score + weight * of_code[codes[p]]
    return int(size)


@njit
def add_to_candidates(
    lists: Any, impacts: Any, weight: Any, begin: int, end: int, scores: Any
) -> None:
    """Add postings to the scores that are not 0: all others' have been set to 0."""
    docs, codes, of_code = lists.docs, lists.codes, impacts.of_code
    for p in range(np.uint64(begin), np.uint64(end)):
        doc = docs[p]
        score = scores[doc]
        more = score + weight * of_code[codes[p]]
        scores[doc] = more if score > 0 else np.float32(0)


@njit
def add_column(column: Any, impacts: Any, weight: Any, bar: Any, work: Any, n: int) -> int:
    """Add a frequent term to the candidates' scores, by document, and drop as ``keep_above``."""
    scores, candidates, of_place = work.scores, work.candidates, impacts.of_place
    left = np.uint64(0)
    for x in range(np.uint64(n)):
        doc = candidates[x]
        score = scores[doc] + weight * of_place[column[doc]]
        candidates[left] = doc
        left += np.uint64(score > bar)
        scores[doc] = score if score > bar else np.float32(0)
    return int(left)


@njit
def gallop(lists: Any, impacts: Any, weight: Any, begin: int, end: int, work: Any, n: int) -> None:
    """Add to the candidates' scores; these come in a few ascending runs, one for each term."""
    docs, codes, scores, candidates = lists.docs, lists.codes, work.scores, work.candidates
    at = begin
    last = np.uint32(0)
    for x in range(n):
        doc = candidates[x]
        if doc < last:
            at = begin
        last = doc
        at = first_from(docs, at, end, doc)
        if at < end and docs[at] == doc:
            scores[doc] += weight * impacts.of_code[codes[at]]


@njit
def first_from(docs: Any, begin: int, end: int, doc: Any) -> int:
    """Return the first place from ``begin`` on whose document is ``doc`` or later, else ``end``."""
    if begin >= end or docs[begin] >= doc:
        return begin
    step = 1
    low = begin
    while low + step < end and docs[low + step] < doc:
        low += step
        step *= 2
    high = min(low + step, end)
    while high - low > 1:
        middle = (low + high) // 2
        if docs[middle] < doc:
            low = middle
        else:
            high = middle
    return high


@njit
def keep_above(work: Any, n: int, bar: Any) -> int:
    """Drop the candidates that have not more than ``bar``; return how many are left."""
    scores, candidates = work.scores, work.candidates
    left = np.uint64(0)
    for x in range(np.uint64(n)):
        doc = candidates[x]
        score = scores[doc]
        candidates[left] = doc
        left += np.uint64(score > bar)
        scores[doc] = score if score > bar else np.float32(0)
    return int(left)


@njit
def keep_allowed(work: Any, n: int, mask: Any) -> int:
    """Drop the candidates whose mask is 0; return how many are left. Without a mask, all."""
    if len(mask) == 0:
        return n
    scores, candidates = work.scores, work.candidates
    left = np.uint64(0)
    for x in range(np.uint64(n)):
        doc = candidates[x]
        candidates[left] = doc
        left += np.uint64(mask[doc] != 0)
        scores[doc] = scores[doc] if mask[doc] else np.float32(0)
    return int(left)


@njit
def forget(work: Any, n: int) -> None:
    """Drop all candidates."""
    for x in range(np.uint64(n)):
        work.scores[work.candidates[x]] = 0


@njit
def collect(
    work: Any, n: int, base: int, bar: Any, top_docs: Any, top_scores: Any, size: int
) -> int:
    """Move the candidates into the heap, their scores back to 0; return the heap's size.

    ``base`` is added to their numbers; those with less than ``bar`` are left out.
    """
    scores, candidates = work.scores, work.candidates
    for x in range(np.uint64(n)):
        doc = candidates[x]
        score = scores[doc]
        scores[doc] = 0
        if score >= bar and (size < len(top_docs) or score >= top_scores[0]):
            size = push(top_docs, top_scores, size, base + np.int64(doc), score)
    return size


@njit
def exhaust(
    lists: Any,
    impacts: Any,
    plan: Any,
    mask: Any,
    base: int,
    work: Any,
    top_docs: Any,
    top_scores: Any,
    size: int,
) -> int:
    """Score every document: a weight of 0 or less allows no bounds. Return the heap's size."""
    scores, candidates, seen = work.scores, work.candidates, work.seen
    n = 0
    for i in range(len(plan.begins)):
        for p in range(plan.begins[i], plan.ends[i]):
            doc = lists.docs[p]
            if not seen[doc]:
                seen[doc] = 1
                candidates[n] = doc
                n += 1
            scores[doc] += plan.weights[i] * impacts.of_code[lists.codes[p]]
    for x in range(n):
        doc = candidates[x]
        score = scores[doc]
        scores[doc] = 0
        seen[doc] = 0
        if len(mask) == 0 or mask[doc]:
            size = push(top_docs, top_scores, size, base + np.int64(doc), score)
    return size
