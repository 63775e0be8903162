"""One search of an index: what is asked, and how it is answered at one commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from retriever.analysis import Analyzer
from retriever.base import QueryError
from retriever.bm25.clauses import search_clauses
from retriever.bm25.leaves import Leaves, analyze
from retriever.bm25.snapshot import Snapshot
from retriever.filters import Filter
from retriever.hits import Hits
from retriever.query import Syntax, parse

__all__ = ["SearchRequest", "answer", "leaves_of"]

_BATCH = 64  # requests that are answered together: enough for a call's cost to vanish
_BATCH_CELLS = 1 << 20  # of k times those: 12 MB


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One of several searches that are answered from the same commit.

    Attributes:
        query: the query's text.
        k: how many documents at most; at least 1.
        filter: only documents that match it are considered.
        syntax: how the text is read; see ``retriever.query``.

    Raises:
        QueryError: when a value is not of its kind or range.

    """

    query: str
    k: int = 10
    filter: Filter | None = None
    syntax: Syntax = "plain"

    def __post_init__(self) -> None:
        if not isinstance(self.query, str):
            raise QueryError(
                f"query: expected a string, found {type(self.query).__name__} {self.query!r:.80}"
            )
        if isinstance(self.k, bool) or not isinstance(self.k, (int, np.integer)) or self.k < 1:
            raise QueryError(f"k: expected a whole number of at least 1, found {self.k!r:.80}")
        if self.filter is not None and not isinstance(self.filter, Filter):
            raise QueryError(
                f"filter: expected one of retriever.filters, found {type(self.filter).__name__} "
                f"{self.filter!r:.80}"
            )


def answer(
    snapshot: Snapshot, analyzer: Analyzer, requests: Sequence[SearchRequest], threads: int = 1
) -> list[Hits]:
    """Search a snapshot: similar requests that follow one another are answered together.

    Raises:
        QueryError: when a query or a filter cannot be understood.

    """
    share = -(-len(requests) // max(1, threads))
    batches = list(_batches(requests, share))
    masks = {id(batch[0].filter): snapshot.masks(batch[0].filter) for batch in batches}

    def run(batch: Sequence[SearchRequest]) -> list[Hits]:
        return _answer(snapshot, analyzer, batch, masks[id(batch[0].filter)])

    if threads <= 1 or len(batches) <= 1:
        return list(chain.from_iterable(map(run, batches)))
    with ThreadPoolExecutor(min(threads, len(batches))) as pool:
        return list(chain.from_iterable(pool.map(run, batches)))


def _batches(requests: Sequence[SearchRequest], share: int) -> Iterator[Sequence[SearchRequest]]:
    """Part requests where k or the filter changes, and further, for threads and for memory."""
    for (k, _), group in groupby(requests, key=lambda each: (each.k, id(each.filter))):
        alike = list(group)
        size = min(share, _BATCH, max(1, _BATCH_CELLS // k))
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def _answer(
    snapshot: Snapshot,
    analyzer: Analyzer,
    batch: Sequence[SearchRequest],
    masks: Sequence[NDArray[np.bool_] | None],
) -> list[Hits]:
    """Answer requests of one k and one filter."""
    k = batch[0].k
    leaves = [leaves_of(request.query, request.syntax, analyzer) for request in batch]
    found = iter(snapshot.search([each.terms for each in leaves if each.plain], k, masks))
    return snapshot.hits(
        [
            next(found) if each.plain else search_clauses(snapshot, analyzer, each, k, masks)
            for each in leaves
        ]
    )


def leaves_of(query: str, syntax: Syntax, analyzer: Analyzer) -> Leaves:
    """Read and analyse a query.

    Raises:
        QueryError: when it cannot be understood.

    """
    return analyze(parse(query, syntax), analyzer)
