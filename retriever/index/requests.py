"""One search of an index, with required, excluded and phrase clauses, answered at one commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis import Analyzer
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits
from twopass.retriever.index.phrase_search import PhraseSearch
from twopass.retriever.index.segment import Segment
from twopass.retriever.index.snapshot import Snapshot
from twopass.retriever.index.terms import conjunction, documents
from twopass.retriever.query.analyzed import Leaf, Leaves, analyze, terms_of
from twopass.retriever.query.language import Syntax, parse

__all__ = [
    "SearchRequest",
    "answer",
    "leaf_idfs",
    "leaves_of",
    "search_clauses",
]


def search_clauses(
    snapshot: Snapshot,
    analyzer: Analyzer,
    leaves: Leaves,
    k: int,
    masks: Sequence[NDArray[np.bool_] | None],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best documents' numbers and scores, best first, of equal ones the oldest.

    A document matches when it has every required leaf, no excluded one and, when none is required,
    at least one that scores. A phrase scores as a term does: its occurrences are its frequency,
    and its idf is the sum of its terms', as Lucene has it.

    Args:
        snapshot: where to search.
        analyzer: the index's.
        leaves: the query.
        k: how many documents at most; at least 1.
        masks: what ``Snapshot.masks`` gave: which documents are considered.

    Returns:
        numbers (r,) int64, scores (r,) float32.

    """
    allowed = [
        _allowed(segment, leaves, mask)
        for segment, mask in zip(snapshot.segments, masks, strict=True)
    ]
    if not leaves.phrases:
        return snapshot.search([leaves.terms], k, allowed)[0]
    idfs = leaf_idfs(snapshot, leaves)
    weights = {leaf: np.float32(idfs[leaf] * boost) for leaf, boost in leaves.weights.items()}

    def search(i: int, threshold: float) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        segment, average = snapshot.segments[i], snapshot.average_length
        phrases = PhraseSearch(segment, analyzer, snapshot.scoring, average, leaves, weights)
        return phrases.top_k(k, snapshot.impacts[i][1:], allowed[i], threshold)

    numbers, scores = snapshot.collect(k, search)
    return numbers, scores + np.float32(sum(weights.values()) * snapshot.scoring.baseline)


def leaf_idfs(snapshot: Snapshot, leaves: Leaves) -> dict[Leaf, float]:
    """Return the idf of each leaf that scores; 0 where a term of it is in no document."""
    terms = {term for leaf in leaves.weights for term in terms_of(leaf)}
    known = snapshot.lexicon.statistics(terms)
    return {
        leaf: sum(known[term].idf for term in terms_of(leaf))
        if all(known[term].df for term in terms_of(leaf))
        else 0.0
        for leaf in leaves.weights
    }


def _allowed(segment: Segment, leaves: Leaves, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return (n,) which documents have the terms that they must and none that they must not."""
    allowed = np.ones(len(segment), np.bool_) if mask is None else mask.copy()
    required = [segment.terms.find(term) for leaf in leaves.required for term in terms_of(leaf)]
    if required:
        having = np.zeros(len(segment), np.bool_)
        if min(required) >= 0:
            having[conjunction(segment.postings, required)] = True
        allowed &= having
    for leaf in leaves.excluded:
        term = segment.terms.find(leaf) if isinstance(leaf, str) else -1
        if term >= 0:
            allowed[documents(segment.postings, term)] = False
    return allowed


_BATCH = 64  # requests that are answered together: enough for a call's cost to vanish
_BATCH_CELLS = 1 << 20  # of k times those: 12 MB
_MOST_TERMS = 65_536
_MOST_IN_PHRASES = 1_024  # of words: phrases are looked for in the documents' texts


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One of several searches that are answered from the same commit.

    Attributes:
        query: the query's text.
        k: how many documents at most; at least 1.
        filter: only documents that match it are considered.
        syntax: how the text is read; see ``twopass.retriever.query.language``.

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
        QueryError: when it cannot be understood, or has more than 65,536 different terms, or
            phrases of more than 1,024 words in all.

    """
    leaves = analyze(parse(query, syntax), analyzer)
    _check(len({*leaves.weights, *leaves.excluded}), _MOST_TERMS, "different terms")
    _check(sum(len(each.terms) for each in leaves.phrases), _MOST_IN_PHRASES, "words in phrases")
    return leaves


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise QueryError(f"query: expected at most {most} {what}, found {count}")
