"""Compiled loops that build and merge postings; :mod:`retriever.bm25.postings` calls them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["add_counts", "append", "count", "count_pairs", "frontier", "pair", "scatter", "spread"]


@njit(nogil=True, cache=True)
def count(term_ids: Any, offsets: Any, n_terms: int) -> Any:
    """Count each term's documents; return where its postings start: (t + 1,) int64."""
    starts = np.zeros(n_terms + 1, np.int64)
    last = np.full(n_terms, -1, np.int32)
    for doc in range(len(offsets) - 1):
        for i in range(offsets[doc], offsets[doc + 1]):
            term = term_ids[i]
            if last[term] != doc:
                last[term] = doc
                starts[term + 1] += 1
    for term in range(n_terms):
        starts[term + 1] += starts[term]
    return starts


@njit(nogil=True, cache=True)
def scatter(term_ids: Any, offsets: Any, starts: Any) -> Any:
    """Sort by term, stably: return docs and tfs, (p,) int32 each.

    Documents come in order, so that a repetition in one finds its posting at the term's end.
    """
    docs = np.empty(starts[-1], np.int32)
    tfs = np.empty(starts[-1], np.int32)
    cursors = starts[:-1].copy()
    for doc in range(len(offsets) - 1):
        for i in range(offsets[doc], offsets[doc + 1]):
            term = term_ids[i]
            end = cursors[term]
            if end > starts[term] and docs[end - 1] == doc:
                tfs[end - 1] += 1
            else:
                docs[end] = doc
                tfs[end] = 1
                cursors[term] = end + 1
    return docs, tfs


@njit(nogil=True, cache=True)
def pair(docs: Any, tfs: Any, lengths: Any) -> Any:
    """Give each distinct pair (tf, length) a number as it appears; a hash table that doubles.

    Returns:
        codes (p,) uint32; counts (c,) int64; the pairs' tfs and lengths, (c,) int32 each.

    """
    codes = np.empty(len(docs), np.uint32)
    size = 1024
    slots = np.full(size, -1, np.int64)
    keys = np.empty(size // 2, np.int64)
    counts = np.zeros(size // 2, np.int64)
    done, n = _pair(docs, tfs, lengths, codes, slots, keys, counts, 0, 0)
    while done < len(docs):
        size *= 2
        slots, keys, counts = _grow(size, keys, counts)
        done, n = _pair(docs, tfs, lengths, codes, slots, keys, counts, done, n)
    pair_tfs = (keys[:n] >> 32).astype(np.int32)
    pair_lengths = (keys[:n] & 0xFFFFFFFF).astype(np.int32)
    return codes, counts[:n].copy(), pair_tfs, pair_lengths


@njit(nogil=True, cache=True)
def _pair(
    docs: Any,
    tfs: Any,
    lengths: Any,
    codes: Any,
    slots: Any,
    keys: Any,
    counts: Any,
    done: int,
    n: int,
) -> Any:
    """Give pairs numbers from posting ``done`` until the table is full; return up to where, and n.

    It is apart because where arrays are replaced each use of them costs a reference count.
    """
    for i in range(done, len(docs)):
        key = (np.int64(tfs[i]) << 32) | np.int64(lengths[docs[i]])
        slot = _slot(key, slots, keys)
        if slots[slot] < 0:
            if n == len(keys):
                return i, n
            slots[slot] = n
            keys[n] = key
            n += 1
        code = slots[slot]
        counts[code] += 1
        codes[i] = code
    return len(docs), n


@njit(nogil=True, cache=True)
def _slot(key: Any, slots: Any, keys: Any) -> Any:
    mask = len(slots) - 1
    slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & np.uint64(mask)
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + np.uint64(1)) & np.uint64(mask)
    return slot


@njit(nogil=True, cache=True)
def _grow(size: int, keys: Any, counts: Any) -> Any:
    slots = np.full(size, -1, np.int64)
    for code in range(len(keys)):
        slots[_slot(keys[code], slots, keys)] = code
    more = np.empty(size // 2 - len(keys), np.int64)
    return slots, np.concatenate((keys, more)), np.concatenate((counts, np.zeros_like(more)))


@njit(nogil=True, cache=True)
def frontier(starts: Any, codes: Any, pair_tfs: Any, pair_lengths: Any) -> Any:
    """Return each term's Pareto-best pairs: starts (t + 1,) int64 and codes (f,)."""
    n_terms = len(starts) - 1
    fronts = np.zeros(n_terms + 1, np.int64)
    front = np.empty(max(16, 2 * n_terms), codes.dtype)
    widest = 1
    for term in range(n_terms):
        widest = max(widest, starts[term + 1] - starts[term])
    best = np.empty(min(widest, len(pair_tfs)) + 1, codes.dtype)
    for term in range(n_terms):
        begin = fronts[term]
        size = _best(codes[starts[term] : starts[term + 1]], pair_tfs, pair_lengths, best)
        while begin + size > len(front):
            front = np.concatenate((front, np.empty_like(front)))
        front[begin : begin + size] = best[:size]
        fronts[term + 1] = begin + size
    return fronts, front[: fronts[n_terms]].copy()


@njit(nogil=True, cache=True)
def _best(codes: Any, tfs: Any, lengths: Any, best: Any) -> int:
    """Put the Pareto-best of some pairs into ``best``; return how many.

    What is there stays sorted by tf, and therefore by length: of two pairs, the one with the
    higher tf has the greater length.
    """
    size = 0
    tf = length = 0  # of the first there: what it beats, which is nearly all, needs no call
    for i in range(len(codes)):
        code = codes[i]
        if tfs[code] <= tf and lengths[code] >= length:
            continue
        size = _insert(best, size, code, tfs, lengths)
        tf, length = tfs[best[0]], lengths[best[0]]
    return size


@njit(nogil=True, cache=True)
def _insert(best: Any, size: int, code: Any, tfs: Any, lengths: Any) -> int:
    tf = tfs[code]
    length = lengths[code]
    at = 0
    while at < size and tfs[best[at]] < tf:
        at += 1
    if at < size and lengths[best[at]] <= length:
        return size
    stop = at
    if stop < size and tfs[best[stop]] == tf:
        stop += 1
    first = at
    while first > 0 and lengths[best[first - 1]] >= length:
        first -= 1
    tail = size - stop
    if first + 1 <= stop:
        for j in range(tail):
            best[first + 1 + j] = best[stop + j]
    else:
        for j in range(tail - 1, -1, -1):
            best[first + 1 + j] = best[stop + j]
    best[first] = code
    return first + 1 + tail


@njit(nogil=True, cache=True)
def spread(starts: Any, docs: Any, codes: Any, terms: Any, n_docs: int) -> Any:
    """Return the codes of some terms by document, plus 1; 0 where a term is not: (r * n,)."""
    columns = np.zeros(len(terms) * n_docs, codes.dtype)
    for row in range(len(terms)):
        for i in range(starts[terms[row]], starts[terms[row] + 1]):
            columns[row * n_docs + docs[i]] = codes[i] + 1
    return columns


@njit(nogil=True, cache=True)
def count_pairs(docs: Any, codes: Any, alive: Any, n_pairs: int) -> Any:
    """Count the postings of each pair in documents that are alive: (c,) int64."""
    counts = np.zeros(n_pairs, np.int64)
    for i in range(len(docs)):
        counts[codes[i]] += alive[docs[i]]
    return counts


@njit(nogil=True, cache=True)
def add_counts(sizes: Any, starts: Any, docs: Any, terms: Any, alive: Any) -> int:
    """Add to ``sizes[new term + 1]`` how many of each term's documents are alive.

    Return how many postings are alive of terms without a new id.
    """
    lost = 0
    for term in range(len(terms)):
        n = 0
        for i in range(starts[term], starts[term + 1]):
            n += alive[docs[i]]
        if terms[term] >= 0:
            sizes[terms[term] + 1] += n
        else:
            lost += n
    return lost


@njit(nogil=True, cache=True)
def append(
    to_docs: Any,
    to_codes: Any,
    cursors: Any,
    starts: Any,
    docs: Any,
    codes: Any,
    terms: Any,
    alive: Any,
    renumbered: Any,
    ranks: Any,
) -> None:
    """Append a segment's living postings to the merged ones, at and advancing ``cursors``."""
    for term in range(len(terms)):
        if terms[term] < 0:
            continue
        at = cursors[terms[term]]
        for i in range(starts[term], starts[term + 1]):
            if alive[docs[i]]:
                to_docs[at] = renumbered[docs[i]]
                to_codes[at] = ranks[codes[i]]
                at += 1
        cursors[terms[term]] = at
