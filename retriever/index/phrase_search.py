"""Exact top-k with phrases: candidates by their terms, occurrences counted in the stored texts.

Whether terms stand side by side is seen by analysing the stored text again. So that few texts are
read, documents come in the order of the score that they have if each of their possible phrases
occurs as often as the rarest of its terms; the search ends when no other document can get into the
best k. A phrase whose words are common together and which itself is rare is the expensive case:
every document with all its words may be read. So texts are read in batches that grow, and analysed
by the compiled loop that also indexes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twopass.retriever.analysis import Analyzer
from twopass.retriever.index.segment import Segment
from twopass.retriever.index.terms import conjunction, documents, frequencies
from twopass.retriever.query.analyzed import Leaf, Leaves, Phrase, Places
from twopass.retriever.scoring import Scoring

__all__ = [
    "PhraseCounter",
    "PhraseSearch",
    "phrase_counter",
]


PhraseCounter: TypeAlias = Callable[[Sequence[str]], NDArray[np.int64]]
"""(n,) texts -> (n, p) how often each of p phrases occurs in each."""


def phrase_counter(analyzer: Analyzer, phrases: Sequence[Phrase]) -> PhraseCounter:
    """Return what counts these phrases: by compiled analysis where the analyser has one."""
    from twopass.retriever.analysis.words import WordEncoder

    encoder = analyzer.encoder()
    if not isinstance(encoder, WordEncoder):
        return lambda texts: _by_tokens(analyzer, phrases, texts)

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        ids, offsets = encoder.places(texts)
        columns = [_occurrences(ids, offsets, each, encoder.id_of) for each in phrases]
        return np.stack(columns, axis=1)

    return count


def _by_tokens(
    analyzer: Analyzer, phrases: Sequence[Phrase], texts: Sequence[str]
) -> NDArray[np.int64]:
    analysed = (Places(analyzer.tokens(text)) for text in texts)
    rows = [[len(phrase.starts(places)) for phrase in phrases] for places in analysed]
    return np.array(rows, np.int64).reshape(len(texts), len(phrases))


def _occurrences(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    phrase: Phrase,
    id_of: Callable[[str], int],
) -> NDArray[np.int64]:
    """Count a phrase in texts given as term ids by place: (n,) int64."""
    starts = np.flatnonzero(ids == id_of(phrase.terms[0]))
    texts = offsets.searchsorted(starts, side="right") - 1
    for term, distance in zip(phrase.terms[1:], phrase.offsets[1:], strict=True):
        inside = starts + distance < offsets[texts + 1]
        starts, texts = starts[inside], texts[inside]
        there = ids[starts + distance] == id_of(term)
        starts, texts = starts[there], texts[there]
    return np.bincount(texts, minlength=len(offsets) - 1)


_FEWEST, _MOST = 16, 1024  # texts in a batch


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """The documents that may contain a phrase, as they have all its terms.

    Attributes:
        docs: (m,) int32, ascending.
        most: (m,) int32: how often the phrase can occur at most.

    """

    docs: NDArray[np.int32]
    most: NDArray[np.int32]


class PhraseSearch:
    """A query with phrases over one segment.

    Args:
        segment: where to search.
        analyzer: the index's.
        scoring: the formula.
        average_length: of the whole index.
        leaves: the query.
        weights: float32, each scoring leaf's idf times its boost.

    """

    def __init__(
        self,
        segment: Segment,
        analyzer: Analyzer,
        scoring: Scoring,
        average_length: float,
        leaves: Leaves,
        weights: Mapping[Leaf, np.float32],
    ) -> None:
        self._segment = segment
        self._scoring = scoring
        self._average_length = average_length
        self._leaves = leaves
        self._weights = weights
        self._candidates = {phrase: self._possible(phrase) for phrase in leaves.phrases}
        self._scoring_phrases = [leaf for leaf in weights if isinstance(leaf, Phrase)]
        self._required = self._candidates.keys() & leaves.required
        self._count = phrase_counter(analyzer, list(self._candidates))

    def top_k(
        self, k: int, impacts: NDArray[np.float32], allowed: NDArray[np.bool_], threshold: float
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the best documents and their scores, best first, of equal ones the first first.

        Args:
            k: how many documents at most; at least 1.
            impacts: (c,) what ``Postings.impacts`` gave.
            allowed: (n,) which documents may be returned, as far as terms and filters decide it.
            threshold: only documents with a score above it are returned.

        Returns:
            docs (r,) int32, scores (r,) float32.

        """
        scores, matching = self._term_scores(impacts)
        bounds, possible = self._bounds(scores, matching)
        if not self._leaves.required:
            allowed = allowed & possible
        docs = np.flatnonzero(allowed).astype(np.int32)
        docs = docs[np.argsort(-bounds[docs], kind="stable")]
        best: list[tuple[float, int]] = []
        size = _FEWEST
        while len(docs):
            batch = self._worth_reading(docs[:size], bounds, best, k, threshold)
            for doc, counts in zip(batch.tolist(), self._counts(batch), strict=True):
                score = self._score(doc, counts, scores[doc], bool(matching[doc]))
                if score is not None and score > threshold:
                    _keep(best, k, score, doc)
            docs = docs[size:] if len(batch) == size else docs[:0]
            size = min(2 * size, _MOST)
        best.sort(reverse=True)
        return (
            np.array([-doc for _, doc in best], np.int32),
            np.array([score for score, _ in best], np.float32),
        )

    def _possible(self, phrase: Phrase) -> _Candidates:
        postings = self._segment.postings
        terms = [self._segment.terms.find(term) for term in phrase.terms]
        if min(terms) < 0:
            return _Candidates(np.empty(0, np.int32), np.empty(0, np.int32))
        docs = conjunction(postings, terms)
        return _Candidates(docs, np.min([frequencies(postings, t, docs) for t in terms], axis=0))

    def _term_scores(
        self, impacts: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return what the terms add to each document, and which documents have one of them."""
        postings = self._segment.postings
        scores = np.zeros(postings.n_docs, np.float32)
        matching = np.zeros(postings.n_docs, np.bool_)
        # In the kernel's order: the same terms give the same score with a phrase and without.
        falling = sorted(self._weights.items(), key=lambda item: -item[1])
        for leaf, weight in falling:
            term = -1 if isinstance(leaf, Phrase) else self._segment.terms.find(leaf)
            if term >= 0:
                docs = documents(postings, term)
                codes = postings.codes[postings.starts[term] : postings.starts[term + 1]]
                scores[docs] += weight * impacts[codes]
                matching[docs] = True
        return scores, matching

    def _bounds(
        self, scores: NDArray[np.float32], matching: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the most that each document can score, and which documents can match."""
        bounds, possible = scores.copy(), matching.copy()
        for phrase in self._scoring_phrases:
            found = self._candidates[phrase]
            # The same operations as for the true frequency, so that rounding keeps the order.
            bounds[found.docs] += np.maximum(self._contributions(phrase, found.most, found.docs), 0)
            possible[found.docs] = True
        return bounds, possible

    def _worth_reading(
        self,
        docs: NDArray[np.int32],
        bounds: NDArray[np.float32],
        best: list[tuple[float, int]],
        k: int,
        threshold: float,
    ) -> NDArray[np.int32]:
        """Return those of some documents, by falling bound, that can still be among the best."""
        worth = bounds[docs] > threshold
        if len(best) == k:
            worth &= bounds[docs] >= best[0][0]
        return docs[worth]

    def _counts(self, docs: NDArray[np.int32]) -> list[dict[Phrase, int]]:
        """Read documents; return how often each phrase that may occur in one does."""
        having = [np.isin(docs, found.docs) for found in self._candidates.values()]
        counts = np.zeros((len(docs), len(having)), np.int64)
        read = np.flatnonzero(np.any(having, axis=0))
        if len(read):
            counts[read] = self._count(self._segment.documents.contents_of(docs[read]))
        return [dict(zip(self._candidates, row, strict=True)) for row in counts.tolist()]

    def _score(
        self, doc: int, counts: Mapping[Phrase, int], score: np.float32, matches: bool
    ) -> float | None:
        """Return a document's score with what its phrases add, or ``None`` if it does not match."""
        found = {phrase for phrase, count in counts.items() if count}
        if found & self._leaves.excluded or not found >= self._required:
            return None
        for phrase in self._scoring_phrases:
            if phrase in found:
                score += self._contributions(phrase, [counts[phrase]], [doc])[0]
                matches = True
        return float(score) if matches else None

    def _contributions(self, phrase: Phrase, tf: ArrayLike, docs: ArrayLike) -> NDArray[np.float32]:
        """Return what a phrase adds to (m,) documents in which it occurs (m,) times."""
        lengths = self._segment.postings.lengths[np.asarray(docs)]
        impacts = self._scoring.impact(tf, lengths, self._average_length) - self._scoring.baseline
        return self._weights[phrase] * impacts.astype(np.float32)


def _keep(best: list[tuple[float, int]], k: int, score: float, doc: int) -> None:
    if len(best) < k:
        heappush(best, (score, -doc))
    elif (score, -doc) > best[0]:
        heapreplace(best, (score, -doc))
