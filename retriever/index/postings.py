"""The inverted index of one immutable segment: plain arrays, each of which can be a mapped file.

A posting does not hold its impact, because N, df and the average length, and by them every impact,
change with each commit of a living index. It holds the code of its pair (tf, document length), of
which a segment has few: what changes at a commit is one float per distinct pair, and each score
stays exact. Codes count from the most frequent pair, so that the hot part of that table is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twopass.retriever.native.loops.records import Source, Target
from twopass.retriever.scoring import Scoring

__all__ = ["Postings", "build_postings", "invert_documents", "merge_postings", "read_only"]

Codes: TypeAlias = NDArray[np.uint16 | np.uint32]


_DTYPES = {
    "starts": ("int64",),
    "docs": ("int32",),
    "codes": ("uint16", "uint32"),
    "pair_tfs": ("int32",),
    "pair_lengths": ("int32",),
    "frontier_starts": ("int64",),
    "frontier_codes": ("uint16", "uint32"),
    "column_terms": ("int32",),
    "columns": ("uint16", "uint32"),
    "lengths": ("int32",),
}
_SHARE = 100_000  # postings for which a thread pays
_COLUMN_SHARE = 8  # a term of one document in 8 has a column: at most 16 bytes a posting more


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The postings of n documents and t terms, p of them, with c distinct pairs (tf, length).

    Every field is one C-contiguous array, made read-only; a term's id is its row in ``starts``.

    Attributes:
        starts: (t + 1,) int64: term i has the postings ``starts[i]`` to ``starts[i + 1]``.
        docs: (p,) int32: the documents, ascending within a term.
        codes: (p,) uint16, or uint32 when c is above 65,535: each posting's row of the pairs.
        pair_tfs: (c,) int32: how often the term stands in the document; most frequent pair first.
        pair_lengths: (c,) int32: the document's number of terms.
        frontier_starts: (t + 1,) int64: the same as ``starts`` for the rows of ``frontier_codes``.
        frontier_codes: (f,) as ``codes``: of each term the pairs that no other of its pairs beats
            with a tf as high and a length as low. The term's highest impact is one of theirs,
            whatever the average length.
        column_terms: (r,) int32, ascending: the terms of more than an eighth of the documents.
        columns: (r * n,) as ``codes``: their codes by document, plus 1; 0 where the term is not.
        lengths: (n,) int32: each document's number of terms.

    Raises:
        ValueError: when an array has not its dtype, shape or order in memory.

    """

    starts: NDArray[np.int64]
    docs: NDArray[np.int32]
    codes: Codes
    pair_tfs: NDArray[np.int32]
    pair_lengths: NDArray[np.int32]
    frontier_starts: NDArray[np.int64]
    frontier_codes: Codes
    column_terms: NDArray[np.int32]
    columns: Codes
    lengths: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name in _DTYPES:
            object.__setattr__(self, name, read_only(getattr(self, name)))
        for name, dtypes in _DTYPES.items():
            array = getattr(self, name)
            if array.dtype.name not in dtypes or array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(
                    f"{name}: expected one contiguous dimension of {' or '.join(dtypes)}, "
                    f"found shape {array.shape} of {array.dtype}"
                )
        for one, other in (
            ("starts", "frontier_starts"),
            ("docs", "codes"),
            ("pair_tfs", "pair_lengths"),
        ):
            if len(getattr(self, one)) != len(getattr(self, other)):
                raise ValueError(f"{one} and {other}: expected one length")
        if not self.codes.dtype == self.frontier_codes.dtype == self.columns.dtype:
            raise ValueError("codes, frontier_codes and columns: expected one dtype")
        if len(self.columns) != len(self.column_terms) * self.n_docs:
            raise ValueError("columns: expected a code for each document and term with a column")

    @property
    def n_docs(self) -> int:
        """How many documents, empty ones included."""
        return len(self.lengths)

    @property
    def n_terms(self) -> int:
        """How many terms."""
        return len(self.starts) - 1

    @property
    def df(self) -> NDArray[np.int64]:
        """(t,) in how many documents each term stands."""
        return np.diff(self.starts)

    def impacts(self, scoring: Scoring, average_length: float) -> NDArray[np.float32]:
        """Return each pair's impact above the formula's baseline: (c,) float32.

        Args:
            scoring: the formula.
            average_length: of the whole collection, of which this segment is a part.

        """
        if not len(self.pair_tfs):
            return np.empty(0, dtype=np.float32)
        impacts = scoring.impact(self.pair_tfs, self.pair_lengths, average_length)
        return (impacts - scoring.baseline).astype(np.float32)


def build_postings(
    term_ids: NDArray[np.int32], offsets: NDArray[np.int64], n_terms: int, *, threads: int = 1
) -> Postings:
    """Invert documents.

    Args:
        term_ids: (o,) int32: the documents' terms one after another, each from 0 to n_terms - 1.
        offsets: (n + 1,) int64: document i has the terms ``offsets[i]`` to ``offsets[i + 1]``.
        n_terms: t; terms without postings are allowed.
        threads: how many work at most; the result is the same.

    Raises:
        ValueError: when a term id or an offset is out of its range.

    """
    term_ids = np.ascontiguousarray(term_ids, dtype=np.int32)
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    sizes = np.diff(offsets)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(term_ids) or (sizes < 0).any():
        raise ValueError(f"offsets: expected to rise from 0 to {len(term_ids)}")
    if len(term_ids) and not 0 <= term_ids.min() <= term_ids.max() < n_terms:
        raise ValueError(f"term_ids: expected from 0 to {n_terms - 1}")
    cuts = np.linspace(0, len(sizes), max(1, threads) + 1).astype(np.int64).tolist()
    parts = [
        (term_ids[offsets[a] : offsets[b]], offsets[a : b + 1] - offsets[a])
        for a, b in pairwise(cuts)
    ]
    return invert_documents(parts, n_terms, threads=threads)


def invert_documents(
    parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]], n_terms: int, *, threads: int = 1
) -> Postings:
    """Invert documents that come in parts, each as :func:`build_postings` takes all, unchecked."""
    from twopass.retriever.index import inversion

    sizes = [np.diff(offsets) for _, offsets in parts]
    lengths = np.concatenate([np.empty(0, np.int64), *sizes]).astype(np.int32)
    starts, postings = inversion.invert(parts, n_terms, threads)
    docs = np.empty(len(postings), np.int32)
    number = max(1, min(threads, len(postings) // _SHARE))
    cuts = np.linspace(0, len(postings), number + 1).astype(np.int64).tolist()
    shares = [slice(a, b) for a, b in pairwise(cuts)]
    with inversion.thread_map(number) as run:
        coded = list(run(lambda at: inversion.pair(postings[at], lengths, docs[at]), shares))
        ranks, tfs, pair_lengths = _join_pairs(*zip(*(each[1:] for each in coded), strict=True))
        codes: Codes = np.empty(len(docs), _code_dtype(len(tfs)))

        def rank(at: slice, found: tuple[Any, ...], numbers: Codes) -> None:
            # Every code is in range: "clip" only spares numpy a buffer.
            np.take(numbers, found[0], out=codes[at], mode="clip")

        list(run(rank, shares, coded, ranks))
    return _complete(starts, docs, codes, tfs, pair_lengths, lengths)


def merge_postings(
    segments: Sequence[Postings],
    term_maps: Sequence[NDArray[np.int32]],
    alive: Sequence[NDArray[np.bool_] | None],
    n_terms: int,
    allocate: Callable[[str, int, DTypeLike], NDArray[Any]] | None = None,
) -> Postings:
    """Join segments to what :func:`build_postings` would give for their remaining documents.

    Args:
        segments: s of them; their documents follow one another.
        term_maps: s times (t_i,) int32: each term's id in the new segment, from 0 to n_terms - 1,
            no two the same; a term of which no posting remains may have -1.
        alive: s times (n_i,) bool: which documents remain, or ``None`` when all do.
        n_terms: t of the new segment.
        allocate: where ``docs`` and ``codes`` are made, by field, length and dtype, such as in a
            mapped file; in memory when ``None``.

    Raises:
        ValueError: when a map or a mask does not fit its segment.

    """
    from twopass.retriever.index import inversion

    masks = [
        np.ones(each.n_docs, dtype=np.bool_) if mask is None else mask
        for each, mask in zip(segments, alive, strict=True)
    ]
    for each, terms, mask in zip(segments, term_maps, masks, strict=True):
        if terms.shape != (each.n_terms,) or mask.shape != (each.n_docs,):
            raise ValueError("expected a new id for each term and a mask for each document")
        if len(terms) and not -1 <= terms.min() <= terms.max() < n_terms:
            raise ValueError(f"term_maps: expected from -1 to {n_terms - 1}")
    starts = np.zeros(n_terms + 1, dtype=np.int64)
    for each, terms, mask in zip(segments, term_maps, masks, strict=True):
        if inversion.add_counts(starts, each.starts, each.docs, terms, mask):
            raise ValueError("term_maps: expected an id for each term with living documents")
    np.cumsum(starts, out=starts)
    ranks, pair_tfs, pair_lengths = _merge_pairs(segments, masks)
    allocate = allocate or (lambda _, length, dtype: np.empty(length, dtype))
    docs = allocate("docs", int(starts[-1]), np.int32)
    codes = allocate("codes", int(starts[-1]), _code_dtype(len(pair_tfs)))
    cursors = starts[:-1].copy()
    base = 0
    for each, terms, mask, rank in zip(segments, term_maps, masks, ranks, strict=True):
        numbers = (base - 1 + np.cumsum(mask)).astype(np.int32)
        source = Source(each.starts, each.docs, each.codes, terms, mask, numbers, rank)
        inversion.append(source, Target(docs, codes, cursors))
        base += int(mask.sum())
    kept = [each.lengths[mask] for each, mask in zip(segments, masks, strict=True)]
    lengths = np.concatenate([*kept, np.empty(0, dtype=np.int32)])
    return _complete(starts, docs, codes, pair_tfs, pair_lengths, lengths)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to, as mapped files are: one type for the compiler."""
    view = array.view()
    view.flags.writeable = False
    return view


def _most_frequent_first(
    counts: NDArray[np.int64], tfs: NDArray[np.int32], lengths: NDArray[np.int32]
) -> tuple[Codes, NDArray[np.int32], NDArray[np.int32]]:
    """Order pairs by falling count, so that a rebuild gives the same; drop those without any.

    Returns:
        each old code's new code, and the ordered pairs' tfs and lengths.

    """
    order = np.lexsort((lengths, tfs, -counts))[: np.count_nonzero(counts)]
    ranks: Codes = np.zeros(len(counts), dtype=_code_dtype(len(order)))
    ranks[order] = np.arange(len(order))
    return ranks, tfs[order], lengths[order]


def _merge_pairs(
    segments: Sequence[Postings], masks: Sequence[NDArray[np.bool_]]
) -> tuple[list[Codes], NDArray[np.int32], NDArray[np.int32]]:
    """Return each segment's old codes' new codes, and the ordered pairs' tfs and lengths."""
    from twopass.retriever.index import inversion

    keys, counts = [], []
    for each, mask in zip(segments, masks, strict=True):
        keys.append((each.pair_tfs.astype(np.int64) << 32) | each.pair_lengths)
        counts.append(inversion.count_pairs(each.docs, each.codes, mask, len(each.pair_tfs)))
    return _join_pairs(keys, counts)


def _join_pairs(
    keys: Sequence[NDArray[np.int64]], counts: Sequence[NDArray[np.int64]]
) -> tuple[list[Codes], NDArray[np.int32], NDArray[np.int32]]:
    """Give the pairs of s parts common numbers, the most frequent first.

    Args:
        keys: s times (c_i,): a part's pairs by their codes, tf above length.
        counts: s times (c_i,): how many postings each has.

    Returns:
        of each part its codes' new codes; the ordered pairs' tfs and lengths.

    """
    none = np.empty(0, dtype=np.int64)
    pairs, rows = np.unique(np.concatenate([none, *keys]), return_inverse=True)
    total = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(total, rows, np.concatenate([none, *counts]))
    tfs, lengths = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
    ranks, tfs, lengths = _most_frequent_first(total, tfs, lengths)
    ends = np.cumsum([len(each) for each in keys])
    return np.split(ranks[rows], ends[:-1])[: len(keys)], tfs, lengths


def _complete(
    starts: NDArray[np.int64],
    docs: NDArray[np.int32],
    codes: Codes,
    pair_tfs: NDArray[np.int32],
    pair_lengths: NDArray[np.int32],
    lengths: NDArray[np.int32],
) -> Postings:
    from twopass.retriever.index import inversion

    fronts, front = inversion.frontier(starts, codes, pair_tfs, pair_lengths)
    frequent = np.flatnonzero(np.diff(starts) * _COLUMN_SHARE > len(lengths)).astype(np.int32)
    columns = inversion.spread(starts, docs, codes, frequent, len(lengths))
    return Postings(
        starts, docs, codes, pair_tfs, pair_lengths, fronts, front, frequent, columns, lengths
    )


def _code_dtype(n_pairs: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if n_pairs < 1 << 16 else np.uint32
