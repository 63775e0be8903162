"""Building and merging postings; :mod:`twopass.retriever.index.inversion` calls these loops.

What grows while it is filled (a table of pairs, the frontiers) is filled until it is full; the
caller makes it larger and calls again with the same ``progress``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "add_counts",
    "append",
    "count",
    "count_pairs",
    "frontier",
    "pair",
    "rehash",
    "scatter",
    "spread",
]

_ONE = np.uint64(1)


@njit
def count(term_ids: Any, offsets: Any, base: int, places: Any) -> None:
    """Count each term's documents.

    Args:
        term_ids: (o,) int32: the documents' terms one after another.
        offsets: (n + 1,) int64: document i has the terms ``offsets[i]`` to ``offsets[i + 1]``.
        base: the number of the first of them.
        places: (2 * t,) int64: of each term how many documents, 0 before, and the last, -1 before.

    """
    for doc in range(len(offsets) - 1):
        for i in range(offsets[doc], offsets[doc + 1]):
            at = 2 * np.uint64(term_ids[i])
            if places[at + _ONE] != base + doc:
                places[at + _ONE] = base + doc
                places[at] += 1


@njit
def scatter(term_ids: Any, offsets: Any, base: int, places: Any, postings: Any) -> None:
    """Sort by term, stably, into postings, (p,) int64: the document's number above the tf.

    Documents come in order, so that a repetition in one finds its posting just before the term's
    place. ``places`` are as in ``count``, with where each term's postings go on for how many. What
    a term needs is thus in two lines of the cache.
    """
    for doc in range(len(offsets) - 1):
        number = np.int64(base + doc)
        for i in range(offsets[doc], offsets[doc + 1]):
            at = 2 * np.uint64(term_ids[i])
            place = np.uint64(places[at])
            if places[at + _ONE] == number:
                postings[place - _ONE] += 1
            else:
                postings[place] = (number << 32) | 1
                places[at] = place + _ONE
                places[at + _ONE] = number


@njit
def pair(postings: Any, lengths: Any, docs: Any, codes: Any, pairs: Any, progress: Any) -> None:
    """Give each distinct pair (tf, length) a number as it appears, until the table is full.

    Args:
        postings: (p,) int64, from ``scatter``.
        lengths: (n,) int32: of each document.
        docs: (p,) int32: receives the documents.
        codes: (p,) uint32: receives the pairs' numbers.
        pairs: a ``Pairs``.
        progress: (2,) int64: postings done, distinct pairs so far.

    """
    done, n = progress[0], progress[1]
    slots, keys, counts = pairs.slots, pairs.keys, pairs.counts
    for i in range(done, len(postings)):
        doc = np.uint64(postings[i]) >> np.uint64(32)
        key = (postings[i] << 32) | np.int64(lengths[doc])
        slot = _slot(key, slots, keys)
        if slots[slot] < 0:
            if n == len(keys):
                progress[0], progress[1] = i, n
                return
            slots[slot] = n
            keys[n] = key
            n += 1
        code = slots[slot]
        counts[code] += 1
        docs[i] = doc
        codes[i] = code
    progress[0], progress[1] = len(postings), n


@njit
def rehash(slots: Any, keys: Any, n: int) -> None:
    """Put the first n keys into slots that are free, -1."""
    for code in range(n):
        slots[_slot(keys[code], slots, keys)] = code


@njit
def _slot(key: Any, slots: Any, keys: Any) -> Any:
    mask = len(slots) - 1
    slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & np.uint64(mask)
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + np.uint64(1)) & np.uint64(mask)
    return slot


@njit
def frontier(
    starts: Any, codes: Any, pair_tfs: Any, pair_lengths: Any, fronts: Any, front: Any, best: Any,
    progress: Any,
) -> None:  # fmt: skip
    """Find each term's Pareto-best pairs, until there is no room for them.

    Args:
        starts: (t + 1,) int64: term i has the postings ``starts[i]`` to ``starts[i + 1]``.
        codes: (p,) their pairs.
        pair_tfs: (c,) int32: each pair's tf.
        pair_lengths: (c,) int32: each pair's length.
        fronts: (t + 1,) int64: receives where each term's pairs start; 0 first.
        front: (f,) as ``codes``: receives the pairs.
        best: (b,) as ``codes``: room for the longest list's, and one more.
        progress: (1,) int64: terms done.

    """
    for term in range(progress[0], len(starts) - 1):
        begin = fronts[term]
        size = _best(codes, starts[term], starts[term + 1], pair_tfs, pair_lengths, best)
        if begin + size > len(front):
            progress[0] = term
            return
        for i in range(size):
            front[begin + i] = best[i]
        fronts[term + 1] = begin + size
    progress[0] = len(starts) - 1


@njit
def _best(codes: Any, begin: int, end: int, tfs: Any, lengths: Any, best: Any) -> int:
    """Put the Pareto-best of some pairs into ``best``; return how many.

    What is there stays sorted by tf, and therefore by length: of two pairs, the one with the
    higher tf has the greater length.
    """
    size = 0
    tf = length = np.int32(0)  # of the first there: what it beats, nearly all, needs no call
    for i in range(begin, end):
        code = codes[i]
        if tfs[code] <= tf and lengths[code] >= length:
            continue
        size = _insert(best, size, code, tfs, lengths)
        tf, length = tfs[best[0]], lengths[best[0]]
    return size


@njit
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


@njit
def spread(starts: Any, docs: Any, codes: Any, terms: Any, n_docs: int, columns: Any) -> None:
    """Write the codes of some terms by document, plus 1, into columns of zeros: (r * n,)."""
    for row in range(len(terms)):
        for i in range(starts[terms[row]], starts[terms[row] + 1]):
            columns[row * n_docs + docs[i]] = codes[i] + 1


@njit
def count_pairs(docs: Any, codes: Any, alive: Any, counts: Any) -> None:
    """Add to ``counts`` (c,) int64 the postings of each pair in documents that are alive."""
    for i in range(len(docs)):
        counts[codes[i]] += alive[docs[i]]


@njit
def add_counts(sizes: Any, starts: Any, docs: Any, terms: Any, alive: Any, lost: Any) -> None:
    """Add to ``sizes[new term + 1]`` how many of each term's documents are alive.

    ``lost`` (1,) int64 receives how many postings are alive of terms without a new id.
    """
    lost[0] = 0
    for term in range(len(terms)):
        n = 0
        for i in range(starts[term], starts[term + 1]):
            n += alive[docs[i]]
        if terms[term] >= 0:
            sizes[terms[term] + 1] += n
        else:
            lost[0] += n


@njit
def append(source: Any, to: Any) -> None:
    """Append a segment's living postings to the merged ones, at and advancing ``to.cursors``.

    Args:
        source: a ``Source``.
        to: a ``Target``.

    """
    for term in range(len(source.terms)):
        if source.terms[term] < 0:
            continue
        at = to.cursors[source.terms[term]]
        for i in range(source.starts[term], source.starts[term + 1]):
            doc = source.docs[i]
            if source.alive[doc]:
                to.docs[at] = source.renumbered[doc]
                to.codes[at] = source.ranks[source.codes[i]]
                at += 1
        to.cursors[source.terms[term]] = at
