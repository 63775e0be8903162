"""The search of one segment, compiled: MaxScore over windows of documents.

Turtle & Flood, Query Evaluation: Strategies and Optimizations (1995), run term at a time within a
window of documents (as Lucene's and PISA's range-based variants do document at a time):

1. Terms come in the order of falling weight; ``rest[i]`` bounds what the terms from i on can add.
2. The rarest terms, together at most one posting to 64 documents, are added up once to learn a
   floor: the k-th best partial score, which the k-th best score cannot be below.
3. A document that has only terms from i on with ``rest[i]`` below the floor cannot be among the
   best k: the terms before i are the essential ones, and only their documents are candidates.
4. In each window the essential postings are added to accumulators; a document is noted when its
   accumulator was 0. Then, term by term, candidates that what remains cannot lift over the floor
   are dropped, and the term is added to the others: by a look into its column (a frequent term has
   its codes by document), by a pass over its postings in the window, or, where these are many more
   than the candidates, by galloping from one to the next.
5. What is left enters the heap of the best k; its worst raises the floor for the next window, and
   for the next segment, in which the heap goes on.

A score is thus always summed in the same order, whichever way its parts were found: pruned and
exhaustive search agree to the last bit. Floors and bounds are kept apart by ``slack``, more than
the rounding of all sums together, and a document is only dropped when its bound is below the
floor; equal scores are decided in the heap, where the lower number wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from retriever.bm25.accumulators import (
    add,
    add_column,
    add_to_candidates,
    collect,
    exhaust,
    first_from,
    gallop,
    keep_above,
    keep_allowed,
)
from retriever.bm25.heap import sort

__all__ = ["finish", "search"]

_WINDOW = 8192  # documents at least, so that a window's accumulators fit the innermost caches
_WINDOW_POSTINGS = 16384  # essential ones in a window, about: a floor for each few thousand
_RARE = 64  # documents to a posting of the terms that the first floor is learnt from
_GALLOP = 64  # postings to a candidate from which on galloping beats a pass
_BINS = 512
_ULPS = 2.0**-22  # four times the error of one operation, relative


@njit(nogil=True, cache=True)
def search(
    starts: Any,
    docs: Any,
    codes: Any,
    frontier_starts: Any,
    frontier_codes: Any,
    column_terms: Any,
    columns: Any,
    n_docs: int,
    impacts: Any,
    query_terms: Any,
    query_weights: Any,
    query_offsets: Any,
    mask: Any,
    base: int,
    scores: Any,
    candidates: Any,
    seen: Any,
    top_docs: Any,
    top_scores: Any,
    sizes: Any,
) -> None:
    """Search for many queries, one after another; the heap of each goes on from what it holds.

    For the arguments see :func:`retriever.bm25.kernels.search`; ``scores`` and ``seen`` are all
    zeros before and after.
    """
    docs = docs.view(np.uint32)  # an unsigned index needs no check for being negative
    for q in range(len(query_offsets) - 1):
        terms, weights = _heaviest_first(
            query_terms[query_offsets[q] : query_offsets[q + 1]],
            query_weights[query_offsets[q] : query_offsets[q + 1]],
        )
        if len(terms) == 0:
            continue
        begins, ends = starts[terms], starts[terms + 1]
        if not weights[-1] > 0:
            sizes[q] = exhaust(
                docs, codes, begins, ends, impacts, weights, mask, base,
                scores, candidates, seen, top_docs[q], top_scores[q], sizes[q],
            )  # fmt: skip
            continue
        rest = _bounds(terms, weights, frontier_starts, frontier_codes, impacts)
        at_columns = _find_columns(column_terms, terms, n_docs)
        sizes[q] = _prune(
            docs, codes, begins, ends, columns, at_columns, n_docs, impacts, weights, rest,
            mask, base, scores, candidates, top_docs[q], top_scores[q], sizes[q],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def finish(top_docs: Any, top_scores: Any, sizes: Any) -> None:
    """Turn each query's heap into a list, best first."""
    for q in range(len(sizes)):
        sort(top_docs[q], top_scores[q], sizes[q])


@njit(nogil=True, cache=True)
def _heaviest_first(terms: Any, weights: Any) -> Any:
    """Order a query's terms by falling weight, without those that the segment does not have."""
    order = np.argsort(-weights, kind="mergesort")
    n = 0
    for i in order:
        if terms[i] >= 0:
            order[n] = i
            n += 1
    return terms[order[:n]], weights[order[:n]]


@njit(nogil=True, cache=True)
def _prune(
    docs: Any,
    codes: Any,
    begins: Any,
    ends: Any,
    columns: Any,
    at_columns: Any,
    n_docs: int,
    impacts: Any,
    weights: Any,
    rest: Any,
    mask: Any,
    base: int,
    scores: Any,
    candidates: Any,
    top_docs: Any,
    top_scores: Any,
    size: int,
) -> int:
    """Go through the windows; return the heap's size. ``begins`` moves on with them."""
    slack = 1 - (len(weights) + 4) * _ULPS
    floor = _first_floor(
        docs, codes, begins, ends, impacts, weights, mask, n_docs,
        scores, candidates, len(top_docs), rest[0],
    )  # fmt: skip
    if size == len(top_docs):
        floor = max(floor, np.float64(top_scores[0]))
    floor *= slack
    essential = len(weights)
    low = 0
    while low < n_docs:
        while essential and rest[essential - 1] <= floor:
            essential -= 1
        high = _window_end(begins, ends, essential, low, n_docs)
        n = 0
        for i in range(essential):
            end = ends[i] if high == n_docs else first_from(docs, begins[i], ends[i], high)
            n = add(docs, codes, impacts, weights[i], begins[i], end, scores, candidates, n)
            begins[i] = end
        n = keep_allowed(scores, candidates, n, mask)
        n = _complete(
            docs, codes, begins, ends, columns, at_columns, impacts, weights, rest,
            essential, floor * slack, low, high, n_docs, scores, candidates, n,
        )  # fmt: skip
        size = collect(scores, candidates, n, base, top_docs, top_scores, size)
        if size == len(top_docs):
            floor = max(floor, top_scores[0] * slack)
        low = high
    return size


@njit(nogil=True, cache=True)
def _complete(
    docs: Any,
    codes: Any,
    begins: Any,
    ends: Any,
    columns: Any,
    at_columns: Any,
    impacts: Any,
    weights: Any,
    rest: Any,
    essential: int,
    floor: float,
    low: int,
    high: int,
    n_docs: int,
    scores: Any,
    candidates: Any,
    n: int,
) -> int:
    """Add the other terms to a window's candidates; return how many of these are left."""
    for i in range(essential, len(weights)):
        n = keep_above(scores, candidates, n, np.float32(floor - rest[i]))
        if n == 0:
            break
        if at_columns[i] >= 0:
            add_column(columns, at_columns[i], impacts, weights[i], scores, candidates, n)
            continue
        begin = first_from(docs, begins[i], ends[i], low)
        end = ends[i] if high == n_docs else first_from(docs, begin, ends[i], high)
        begins[i] = end
        if end - begin <= _GALLOP * n:
            add_to_candidates(docs, codes, impacts, weights[i], begin, end, scores)
        else:
            gallop(docs, codes, impacts, weights[i], begin, end, scores, candidates, n)
    return n


@njit(nogil=True, cache=True)
def _bounds(terms: Any, weights: Any, starts: Any, codes: Any, impacts: Any) -> Any:
    """Return (m + 1,) float64: what the terms from each on can add at most."""
    rest = np.zeros(len(terms) + 1, np.float64)
    slack = 1 + (len(terms) + 4) * _ULPS
    for i in range(len(terms) - 1, -1, -1):
        best = np.float32(0)
        for f in range(starts[terms[i]], starts[terms[i] + 1]):
            best = max(best, impacts[codes[f]])
        rest[i] = rest[i + 1] + np.float64(weights[i]) * best * slack
    return rest


@njit(nogil=True, cache=True)
def _find_columns(column_terms: Any, terms: Any, n_docs: int) -> Any:
    """Return where each term's column starts, -1 for a term without."""
    at = np.full(len(terms), -1, np.int64)
    for i in range(len(terms)):
        row = np.searchsorted(column_terms, terms[i])
        if row < len(column_terms) and column_terms[row] == terms[i]:
            at[i] = row * n_docs
    return at


@njit(nogil=True, cache=True)
def _first_floor(
    docs: Any,
    codes: Any,
    begins: Any,
    ends: Any,
    impacts: Any,
    weights: Any,
    mask: Any,
    n_docs: int,
    scores: Any,
    candidates: Any,
    k: int,
    highest: float,
) -> float:
    """Return a score that at least k documents reach by the rarest terms alone, or 0."""
    budget = max(n_docs // _RARE, 4 * k)
    rare = 0
    total = 0
    while rare < len(begins) and total + ends[rare] - begins[rare] <= budget:
        total += ends[rare] - begins[rare]
        rare += 1
    if rare == len(begins) or total < k:
        return 0.0
    n = 0
    for i in range(rare):
        n = add(docs, codes, impacts, weights[i], begins[i], ends[i], scores, candidates, n)
    n = keep_allowed(scores, candidates, n, mask)
    counts = np.zeros(_BINS, np.int64)
    scale = (_BINS - 1) / highest
    for x in range(n):
        doc = candidates[x]
        counts[int(scores[doc] * scale)] += 1
        scores[doc] = 0
    n = 0
    for i in range(_BINS - 1, 0, -1):
        n += counts[i]
        if n >= k:
            return i / scale
    return 0.0


@njit(nogil=True, cache=True)
def _window_end(begins: Any, ends: Any, essential: int, low: int, n_docs: int) -> int:
    """Return where a window from ``low`` ends: with about ``_WINDOW_POSTINGS`` essential ones."""
    left = 0
    for i in range(essential):
        left += ends[i] - begins[i]
    if left <= _WINDOW_POSTINGS:
        return n_docs
    documents = (n_docs - low) * _WINDOW_POSTINGS // left
    return min(low + max(documents, _WINDOW), n_docs)
