"""Building and merging postings: the arrays that the loops fill."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retriever.native.function import Function
from retriever.native.loops.records import Pairs, Source, Target

__all__ = ["add_counts", "append", "count", "count_pairs", "frontier", "pair", "scatter", "spread"]


@cache
def _loop(name: str, *parameters: Any) -> Function:
    return Function(f"retriever.native.loops.inversion:{name}", *parameters)


def count(
    term_ids: NDArray[np.int32], offsets: NDArray[np.int64], n_terms: int
) -> NDArray[np.int64]:
    """Count each term's documents; return where its postings start: (t + 1,) int64."""
    starts, last = np.zeros(n_terms + 1, np.int64), np.full(n_terms, -1, np.int32)
    loop = _loop("count", "int32[]", "int64[]", "int64[]", "int32[]")
    loop(term_ids, offsets, starts, last)
    return starts


def scatter(
    term_ids: NDArray[np.int32], offsets: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sort by term, stably: return docs and tfs, (p,) int32 each."""
    docs, tfs = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    loop = _loop("scatter", "int32[]", "int64[]", "int64[]", "int64[]", "int32[]", "int32[]")
    loop(term_ids, offsets, starts, starts[:-1].copy(), docs, tfs)
    return docs, tfs


def pair(
    docs: NDArray[np.int32], tfs: NDArray[np.int32], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Give each distinct pair (tf, length) a number as it appears.

    Returns:
        codes (p,) uint32; counts (c,) int64; the pairs' tfs and lengths, (c,) int32 each.

    """
    kinds = Pairs("int64[]", "int64[]", "int64[]")
    loop = _loop("pair", "int32[]", "int32[]", "int32[]", "uint32[]", kinds, "int64[]")
    codes = np.empty(len(docs), np.uint32)
    pairs = Pairs(np.full(1024, -1, np.int64), np.empty(512, np.int64), np.zeros(512, np.int64))
    progress = np.zeros(2, np.int64)
    while True:
        loop(docs, tfs, lengths, codes, pairs, progress)
        done, n = progress.tolist()
        if done == len(docs):
            break
        pairs = _larger(pairs, n)
    keys = pairs.keys[:n]
    return codes, pairs.counts[:n], (keys >> 32).astype(np.int32), keys.astype(np.int32)


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
