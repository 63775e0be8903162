"""Building and merging postings: the arrays that the loops fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.native.function import Function
from twopass.retriever.native.loops.records import Pairs, Source, Target

__all__ = [
    "Documents",
    "add_counts",
    "append",
    "count_pairs",
    "frontier",
    "invert",
    "pair",
    "spread",
    "thread_map",
]

Documents: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Some documents: their terms one after another (o,), and where each one's begin, with the end."""

_SHARE = 100_000  # terms of documents for which a thread pays


@contextmanager
def thread_map(threads: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Lend a ``map`` that works in so many threads."""
    if threads <= 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


@cache
def _loop(name: str, *parameters: Any) -> Function:
    return Function(f"twopass.retriever.native.loops.inversion:{name}", *parameters)


def invert(
    parts: Sequence[Documents], n_terms: int, threads: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort the terms of documents by term, stably; each thread takes some parts that neighbour.

    Args:
        parts: the documents' terms, part after part.
        n_terms: t.
        threads: how many at most; the result is the same.

    Returns:
        starts (t + 1,) int64, and postings (p,) int64: the document's number above the tf.

    """
    bases = np.cumsum([0, *(len(offsets) - 1 for _, offsets in parts)]).tolist()
    groups = _groups(parts, n_terms, threads)
    counting = _loop("count", "int32[]", "int64[]", "int64", "int64[]")
    scattering = _loop("scatter", "int32[]", "int64[]", "int64", "int64[]", "int64[]")

    def count(group: range) -> NDArray[np.int64]:
        places = np.tile(np.array([0, -1], np.int64), n_terms)
        for i in group:
            counting(*parts[i], bases[i], places)
        return places

    def scatter(group: range, places: NDArray[np.int64]) -> None:
        for i in group:
            scattering(*parts[i], bases[i], places, postings)

    with thread_map(len(groups)) as run:
        places = list(run(count, groups))
        starts = np.zeros(n_terms + 1, np.int64)
        for each in places:
            starts[1:] += each[::2]
        np.cumsum(starts, out=starts)
        postings = np.empty(starts[-1], np.int64)
        begins = starts[:-1].copy()
        for each in places:
            sizes = each[::2].copy()
            each[::2], each[1::2] = begins, -1
            begins += sizes
        list(run(scatter, groups, places))
    return starts, postings


def _groups(parts: Sequence[Documents], n_terms: int, threads: int) -> list[range]:
    """Share neighbouring parts out, about equally; a thread for little costs more than it gives."""
    ends = np.cumsum([0, *(len(ids) for ids, _ in parts)])
    number = int(max(1, min(threads, len(parts), ends[-1] // max(_SHARE, 4 * n_terms))))
    cuts = np.searchsorted(ends, np.linspace(0, ends[-1], number + 1)[1:-1]).tolist()
    return [range(a, b) for a, b in pairwise([0, *cuts, len(parts)])]


def pair(
    postings: NDArray[np.int64], lengths: NDArray[np.int32], docs: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """Give each distinct pair (tf, length) of some postings a number as it appears.

    Args:
        postings: (p,), from ``invert``.
        lengths: (n,) of each document.
        docs: (p,) receives the documents.

    Returns:
        codes (p,) uint32; the pairs (c,), tf above length; how many postings each has, (c,).

    """
    kinds = Pairs("int64[]", "int64[]", "int64[]")
    loop = _loop("pair", "int64[]", "int32[]", "int32[]", "uint32[]", kinds, "int64[]")
    codes = np.empty(len(postings), np.uint32)
    pairs = Pairs(np.full(1024, -1, np.int64), np.empty(512, np.int64), np.zeros(512, np.int64))
    progress = np.zeros(2, np.int64)
    while True:
        loop(postings, lengths, docs, codes, pairs, progress)
        done, n = progress.tolist()
        if done == len(postings):
            return codes, pairs.keys[:n], pairs.counts[:n]
        pairs = _larger(pairs, n)


def _larger(pairs: Pairs, n: int) -> Pairs:
    """Return a table of twice as many pairs."""
    slots = np.full(2 * len(pairs.slots), -1, np.int64)
    keys = np.concatenate((pairs.keys, np.empty_like(pairs.keys)))
    counts = np.concatenate((pairs.counts, np.zeros_like(pairs.counts)))
    _loop("rehash", "int64[]", "int64[]", "int64")(slots, keys, n)
    return Pairs(slots, keys, counts)


def frontier(
    starts: NDArray[np.int64],
    codes: NDArray[Any],
    pair_tfs: NDArray[np.int32],
    pair_lengths: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return each term's Pareto-best pairs: starts (t + 1,) int64 and codes (f,)."""
    kind = f"{codes.dtype}[]"
    loop = _loop(
        "frontier", "int64[]", kind, "int32[]", "int32[]", "int64[]", kind, kind, "int64[]"
    )
    widest = int(np.diff(starts).max(initial=0))
    best = np.empty(min(widest, len(pair_tfs)) + 1, codes.dtype)
    fronts = np.zeros(len(starts), np.int64)
    front = np.empty(16 + 2 * len(starts), codes.dtype)
    progress = np.zeros(1, np.int64)
    while True:
        loop(starts, codes, pair_tfs, pair_lengths, fronts, front, best, progress)
        if progress[0] == len(starts) - 1:
            return fronts, front[: fronts[-1]].copy()
        front = np.concatenate((front, np.empty(len(front) + len(best), codes.dtype)))


def spread(
    starts: NDArray[np.int64],
    docs: NDArray[np.int32],
    codes: NDArray[Any],
    terms: NDArray[np.int32],
    n_docs: int,
) -> NDArray[Any]:
    """Return the codes of some terms by document, plus 1; 0 where a term is not: (r * n,)."""
    columns = np.zeros(len(terms) * n_docs, codes.dtype)
    kind = f"{codes.dtype}[]"
    loop = _loop("spread", "int64[]", "int32[]", kind, "int32[]", "int64", kind)
    loop(starts, docs, codes, terms, n_docs, columns)
    return columns


def count_pairs(
    docs: NDArray[np.int32], codes: NDArray[Any], alive: NDArray[np.bool_], n_pairs: int
) -> NDArray[np.int64]:
    """Count the postings of each pair in documents that are alive: (c,) int64."""
    counts = np.zeros(n_pairs, np.int64)
    loop = _loop("count_pairs", "int32[]", f"{codes.dtype}[]", "uint8[]", "int64[]")
    loop(docs, codes, alive.view(np.uint8), counts)
    return counts


def add_counts(
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
    docs: NDArray[np.int32],
    terms: NDArray[np.int32],
    alive: NDArray[np.bool_],
) -> int:
    """Add to ``sizes[new term + 1]`` how many of each term's documents are alive.

    Return how many postings are alive of terms without a new id.
    """
    lost = np.zeros(1, np.int64)
    loop = _loop("add_counts", "int64[]", "int64[]", "int32[]", "int32[]", "uint8[]", "int64[]")
    loop(sizes, starts, docs, terms, alive.view(np.uint8), lost)
    return int(lost[0])


def append(source: Source, to: Target) -> None:
    """Append a segment's living postings to the merged ones, at and advancing ``to.cursors``."""
    codes, ranks, target = (f"{each.dtype}[]" for each in (source.codes, source.ranks, to.codes))
    loop = _loop(
        "append",
        Source("int64[]", "int32[]", codes, "int32[]", "uint8[]", "int32[]", ranks),
        Target("int32[]", target, "int64[]"),
    )
    loop(source._replace(alive=source.alive.view(np.uint8)), to)
