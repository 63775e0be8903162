"""Exact top-k of queries with required, excluded and phrase clauses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retriever.analysis import Analyzer
from retriever.bm25.conjunction import conjunction, documents
from retriever.bm25.leaves import Leaf, Leaves, terms_of
from retriever.bm25.phrase_search import PhraseSearch
from retriever.bm25.segment import Segment
from retriever.bm25.snapshot import Snapshot

__all__ = ["leaf_idfs", "search_clauses"]


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
