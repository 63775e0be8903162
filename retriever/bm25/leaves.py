"""A query after analysis: what scores, what is required, what is excluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TypeAlias

from retriever.analysis import Analyzer
from retriever.phrases import Phrase
from retriever.query import Clause, Occur, Query

__all__ = ["Leaf", "Leaves", "analyze", "terms_of"]

Leaf: TypeAlias = str | Phrase


@dataclass(frozen=True, slots=True)
class Leaves:
    """The terms and phrases of a query.

    Attributes:
        weights: each that scores, in the query's order, and the sum of its boosts: 1 for each
            time that it stands there.
        required: those of them without which no document matches.
        excluded: those with which none does.

    """

    weights: Mapping[Leaf, float]
    required: Set[Leaf] = frozenset()
    excluded: Set[Leaf] = frozenset()

    @property
    def terms(self) -> dict[str, float]:
        """The terms that score, and their weights."""
        return {leaf: weight for leaf, weight in self.weights.items() if isinstance(leaf, str)}

    @property
    def phrases(self) -> frozenset[Phrase]:
        """Every phrase, whatever its part."""
        return frozenset(
            leaf for leaf in {*self.weights, *self.excluded} if isinstance(leaf, Phrase)
        )

    @property
    def plain(self) -> bool:
        """Whether it is terms alone, none of them required or excluded."""
        return not (self.required or self.excluded or self.phrases)


def terms_of(leaf: Leaf) -> tuple[str, ...]:
    """Return a phrase's terms, or the term alone."""
    return leaf.terms if isinstance(leaf, Phrase) else (leaf,)


def analyze(query: Query, analyzer: Analyzer) -> Leaves:
    """Analyse a query's clauses; one whose words are all dropped (stop words) says nothing.

    A word between quotes or after a sign that the analyser splits, such as ``+e-mail``, is a
    phrase; without them its parts are terms of their own, as in a plain query.
    """
    weights: dict[Leaf, float] = {}
    found: dict[Occur, set[Leaf]] = {occur: set() for occur in Occur}
    for clause in query.clauses:
        for leaf in _leaves(clause, analyzer):
            found[clause.occur].add(leaf)
            if clause.occur is not Occur.EXCLUDED:
                weights[leaf] = weights.get(leaf, 0.0) + clause.boost
    return Leaves(weights, frozenset(found[Occur.REQUIRED]), frozenset(found[Occur.EXCLUDED]))


def _leaves(clause: Clause, analyzer: Analyzer) -> Iterator[Leaf]:
    if not clause.quoted and clause.occur is Occur.SHOULD:
        yield from analyzer.terms(clause.text)
        return
    tokens = analyzer.tokens(clause.text)
    if len(tokens) > 1:
        yield Phrase.of(tokens)
    elif tokens:
        yield tokens[0].term
