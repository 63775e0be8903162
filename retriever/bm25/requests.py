"""One search of an index: what is asked, and how it is answered at one commit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retriever.analysis import Analyzer
from retriever.base import QueryError
from retriever.bm25.clauses import search_clauses
from retriever.bm25.leaves import Leaves, analyze
from retriever.bm25.snapshot import Snapshot
from retriever.filters import Filter
from retriever.hits import Hits
from retriever.query import Syntax, parse

__all__ = ["SearchRequest", "answer", "leaves_of"]


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


def answer(snapshot: Snapshot, analyzer: Analyzer, request: SearchRequest) -> Hits:
    """Search a snapshot.

    Raises:
        QueryError: when the query or the filter cannot be understood.

    """
    leaves = leaves_of(request.query, request.syntax, analyzer)
    if leaves.plain:
        numbers, scores = snapshot.search(leaves.terms, request.k, request.filter)
    else:
        numbers, scores = search_clauses(snapshot, analyzer, leaves, request.k, request.filter)
    places = [snapshot.locate(number) for number in numbers.tolist()]
    return Hits.of(
        [segment.documents.ids[local] for segment, local in places],
        scores,
        [segment.documents.contents(local) for segment, local in places],
    )


def leaves_of(query: str, syntax: Syntax, analyzer: Analyzer) -> Leaves:
    """Read and analyse a query.

    Raises:
        QueryError: when it cannot be understood.

    """
    return analyze(parse(query, syntax), analyzer)
