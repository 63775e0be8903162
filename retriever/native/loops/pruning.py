"""The search of one segment: MaxScore over windows of documents.

Turtle & Flood, Query Evaluation: Strategies and Optimizations (1995), run term at a time within a
window of documents (as Lucene's and PISA's range-based variants do document at a time):

1. Terms come in the order of falling weight; ``rest[i]`` bounds what the terms from i on can add.
2. A document that has only terms from i on with ``rest[i]`` below a floor, which the k-th best
   score cannot be below, cannot be among the best k: the terms before i are the essential ones, and
   only their documents are candidates.
3. The rarest terms are added to accumulators over the whole segment; a document is noted when its
   accumulator was 0. Before each term that is longer than there are candidates, the k-th best
   partial score is read from a histogram as a floor; before one that is much longer than k, the
   best candidates are looked up in all further terms for a higher floor. No further term may then
   be essential: candidates are completed at once. When too many essential postings are left, the
   sums are forgotten but not the floor, and the segment is gone through window by window.
4. Term by term, candidates that what remains cannot lift over the floor are dropped, and the term
   is added to the others: by a look into its column (a frequent term has its codes by document), by
   a pass over its postings in the window, or, where these are many more than the candidates, by
   galloping from one to the next.
5. What is left and reaches the floor enters the heap of the best k; its worst raises the floor for
   the next window, and for the next segment, in which the heap goes on.

A score is thus always summed in the same order, whichever way its parts were found: pruned and
exhaustive search agree to the last bit. Floors and bounds are kept apart by ``slack``, more than
the rounding of all sums together, and a document is only dropped when its bound is below the
floor; equal scores are decided in the heap, where the lower number wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from twopass.retriever.native.loops.accumulators import (
    add,
    add_column,
    add_to_candidates,
    collect,
    exhaust,
    first_from,
    forget,
    gallop,
    keep_above,
    keep_allowed,
)
from twopass.retriever.native.loops.records import Impacts, Plan

__all__ = ["search"]

_WINDOW = 8192  # documents at least, so that a window's accumulators fit the innermost caches
_WINDOW_POSTINGS = 16384  # essential ones in a window, about: a floor for each few thousand
_NEAR = 1 << 18  # documents whose accumulators fit the caches: postings are added at random places,
_AT_ONCE = 1 << 16  # so many over the whole segment
_RARE = 64  # documents to such a posting in a larger segment
_LONG = 400  # times k postings, before which it pays to complete the best candidates
_GALLOP = 64  # postings to a candidate from which on galloping beats a pass
_ULPS = 2.0**-22  # four times the error of one operation, relative


@njit
def search(
    lists: Any, padded: Any, queries: Any, mask: Any, base: int, work: Any, top: Any
) -> None:
    """Search for many queries, one after another; the heap of each goes on from what it holds.

    For the arguments see :func:`twopass.retriever.index.term_search.search` and ``records``.
    """
    k = len(top.docs) // max(1, len(top.sizes))
    impacts = Impacts(padded[1:], padded)
    for q in range(len(top.sizes)):
        plan = _plan(lists, impacts, queries, q, work)
        if len(plan.weights) == 0:
            continue
        docs, scores = top.docs[q * k : q * k + k], top.scores[q * k : q * k + k]
        size = top.sizes[q]
        if _all_positive(plan.weights):
            size = _prune(lists, impacts, plan, mask, base, work, docs, scores, size)
        else:
            size = exhaust(lists, impacts, plan, mask, base, work, docs, scores, size)
        top.sizes[q] = size


@njit
def _all_positive(weights: Any) -> bool:
    for weight in weights:  # noqa: SIM110 - a generator does not compile
        if not weight > 0:
            return False
    return True


@njit
def _plan(lists: Any, impacts: Any, queries: Any, q: int, work: Any) -> Any:
    """Say in ``work`` what is known of a query's terms, but for those that the segment lacks."""
    m = 0
    for i in range(queries.offsets[q], queries.offsets[q + 1]):
        term = queries.terms[i]
        if term < 0:
            continue
        work.weights[m] = queries.weights[i]
        work.begins[m], work.ends[m] = lists.starts[term], lists.starts[term + 1]
        work.columns[m] = _column(lists, term)
        work.rest[m] = np.float64(queries.weights[i]) * _highest(lists, impacts, term)
        m += 1
    work.rest[m] = 0
    slack = 1 + (m + 4) * _ULPS
    for i in range(m - 1, -1, -1):
        work.rest[i] = work.rest[i + 1] + work.rest[i] * slack
    return Plan(
        work.weights[:m], work.begins[:m], work.ends[:m], work.columns[:m], work.rest[: m + 1]
    )


@njit
def _highest(lists: Any, impacts: Any, term: int) -> Any:
    """Return the highest impact that a term has."""
    best = np.float32(0)
    of_code = impacts.of_code
    for f in range(lists.frontier_starts[term], lists.frontier_starts[term + 1]):
        best = max(best, of_code[lists.frontier_codes[f]])
    return best


@njit
def _column(lists: Any, term: int) -> int:
    """Return where a term's column starts, -1 for a term without."""
    low, high = 0, len(lists.column_terms)
    while low < high:
        middle = (low + high) // 2
        if lists.column_terms[middle] < term:
            low = middle + 1
        else:
            high = middle
    if low < len(lists.column_terms) and lists.column_terms[low] == term:
        return int(low * lists.n_docs)
    return -1


@njit
def _prune(
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
    """Search by what the rarest terms tell, at once or in windows; return the heap's size."""
    terms, k = len(plan.weights), len(top_docs)
    slack = 1 - (terms + 4) * _ULPS
    floor = np.float64(top_scores[0]) * slack if size == k else 0.0
    essential = _essential(plan, terms, floor)
    budget = _AT_ONCE if lists.n_docs <= _NEAR else lists.n_docs // _RARE
    n = 0
    i = 0
    while i < essential and plan.ends[i] - plan.begins[i] <= budget:
        budget -= plan.ends[i] - plan.begins[i]
        n = add(lists, impacts, plan.weights[i], plan.begins[i], plan.ends[i], work, n)
        i += 1
        following = plan.ends[i] - plan.begins[i] if i < essential else 0
        if k <= n < following:
            n = keep_allowed(work, n, mask)
            reached = _reached(work, n, k, plan.rest[0])
            floor = max(floor, reached * slack)
            essential = max(i, _essential(plan, essential, floor))
            if i < essential and reached > 0 and following > _LONG * k:
                promised = _promised(lists, impacts, plan, i, work, n, k, np.float32(reached))
                floor = max(floor, promised * slack)
                essential = max(i, _essential(plan, essential, floor))
    if i < essential:
        forget(work, n)
        size = _by_windows(
            lists, impacts, plan, mask, base, work, top_docs, top_scores, size, floor
        )
        return int(size)
    n = keep_allowed(work, n, mask)
    n = _complete(lists, impacts, plan, i, floor * slack, 0, lists.n_docs, work, n)
    return int(_collect(plan, base, work, n, top_docs, top_scores, size, floor))


@njit
def _by_windows(
    lists: Any,
    impacts: Any,
    plan: Any,
    mask: Any,
    base: int,
    work: Any,
    top_docs: Any,
    top_scores: Any,
    size: int,
    floor: float,
) -> int:
    """Go through the windows; return the heap's size."""
    slack = 1 - (len(plan.weights) + 4) * _ULPS
    essential = len(plan.weights)
    low = 0
    while low < lists.n_docs:
        essential = _essential(plan, essential, floor)
        high = _window_end(plan, essential, low, lists.n_docs)
        n = 0
        for i in range(essential):
            begin, end = plan.begins[i], _end(lists, plan, i, plan.begins[i], high)
            n = add(lists, impacts, plan.weights[i], begin, end, work, n)
            plan.begins[i] = end
        n = keep_allowed(work, n, mask)
        n = _complete(lists, impacts, plan, essential, floor * slack, low, high, work, n)
        size = _collect(plan, base, work, n, top_docs, top_scores, size, floor)
        if size == len(top_docs):
            floor = max(floor, top_scores[0] * slack)
        low = high
    return size


@njit
def _essential(plan: Any, essential: int, floor: float) -> int:
    """Return how many terms are essential, of which so many were."""
    while essential and plan.rest[essential - 1] <= floor:
        essential -= 1
    return essential


@njit
def _collect(
    plan: Any,
    base: int,
    work: Any,
    n: int,
    top_docs: Any,
    top_scores: Any,
    size: int,
    floor: float,
) -> int:
    """Move what can be among the best into the heap; return its size."""
    k = len(top_docs)
    slack = 1 - (len(plan.weights) + 4) * _ULPS
    if size < k and n >= 2 * k:
        floor = max(floor, _reached(work, n, k, plan.rest[0]) * slack)
    return int(collect(work, n, base, np.float32(floor * slack), top_docs, top_scores, size))


@njit
def _complete(
    lists: Any,
    impacts: Any,
    plan: Any,
    essential: int,
    floor: float,
    low: int,
    high: int,
    work: Any,
    n: int,
) -> int:
    """Add the other terms to a window's candidates; return how many of these are left."""
    last = len(plan.weights) - 1
    if essential <= last:
        n = keep_above(work, n, np.float32(floor - plan.rest[essential]))
    for i in range(essential, last + 1):
        if n == 0:
            break
        weight, bar = plan.weights[i], np.float32(floor - plan.rest[i + 1])
        if plan.columns[i] >= 0:
            n = add_column(lists.columns[plan.columns[i] :], impacts, weight, bar, work, n)
            continue
        begin = first_from(lists.docs, plan.begins[i], plan.ends[i], low)
        end = _end(lists, plan, i, begin, high)
        plan.begins[i] = end
        if end - begin <= _GALLOP * n:
            add_to_candidates(lists, impacts, weight, begin, end, work.scores)
        else:
            gallop(lists, impacts, weight, begin, end, work, n)
        if i < last:
            n = keep_above(work, n, bar)
    return n


@njit
def _end(lists: Any, plan: Any, i: int, begin: int, high: int) -> int:
    """Return where a term's postings end that come before the document ``high``."""
    if high == lists.n_docs:
        return int(plan.ends[i])
    return int(first_from(lists.docs, begin, plan.ends[i], high))


@njit
def _reached(work: Any, n: int, k: int, highest: float) -> float:
    """Return a score that at least k of the candidates reach, or 0; none reaches ``highest``."""
    counts, scores, candidates = work.counts, work.scores, work.candidates
    counts[:] = 0
    scale = np.float32((len(counts) - 1) / highest)
    for x in range(np.uint64(n)):
        counts[np.uint64(scores[candidates[x]] * scale)] += 1
    return float(_kth(counts, k, scale))


@njit
def _promised(
    lists: Any, impacts: Any, plan: Any, first: int, work: Any, n: int, k: int, bar: Any
) -> float:
    """Return a score that at least k candidates will reach, or 0.

    Those that have ``bar`` now, but not many more than k, are completed by the terms from the first
    on that was not added; nothing is added.
    """
    counts, scores, candidates = work.counts, work.scores, work.candidates
    counts[:] = 0
    scale = np.float32((len(counts) - 1) / plan.rest[0])
    left = 2 * k
    for x in range(np.uint64(n)):
        doc = candidates[x]
        score = scores[doc]
        if score < bar:
            continue
        for i in range(first, len(plan.weights)):
            score += plan.weights[i] * _impact(lists, impacts, plan, i, doc)
        counts[np.uint64(score * scale)] += 1
        left -= 1
        if left == 0:
            break
    return float(_kth(counts, k, scale))


@njit
def _impact(lists: Any, impacts: Any, plan: Any, i: int, doc: Any) -> Any:
    """Return what a term is worth in a document, 0 where it is not."""
    if plan.columns[i] >= 0:
        return impacts.of_place[lists.columns[plan.columns[i] + doc]]
    at = first_from(lists.docs, plan.begins[i], plan.ends[i], doc)
    if at < plan.ends[i] and lists.docs[at] == doc:
        return impacts.of_code[lists.codes[at]]
    return np.float32(0)


@njit
def _kth(counts: Any, k: int, scale: Any) -> float:
    """Return the score from which on a histogram has k, or 0."""
    reached = 0
    for i in range(len(counts) - 1, 0, -1):
        reached += counts[i]
        if reached >= k:
            return float(i / scale)
    return 0.0


@njit
def _window_end(plan: Any, essential: int, low: int, n_docs: int) -> int:
    """Return where a window from ``low`` ends: with about ``_WINDOW_POSTINGS`` essential ones."""
    left = 0
    for i in range(essential):
        left += plan.ends[i] - plan.begins[i]
    if left <= _WINDOW_POSTINGS:
        return n_docs
    documents = (n_docs - low) * _WINDOW_POSTINGS // left
    return min(low + max(documents, _WINDOW), n_docs)
