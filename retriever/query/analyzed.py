"""A query after analysis: terms and phrases that score, are required, or are excluded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

from twopass.retriever.analysis import Analyzer
from twopass.retriever.query.language import Clause, Occur, Query

if TYPE_CHECKING:
    from twopass.retriever.analysis import Token

__all__ = [
    "Leaf",
    "Leaves",
    "Phrase",
    "analyze",
    "terms_of",
]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms at fixed distances, as Lucene's match_phrase with slop 0.

    A word that the analyser drops leaves a hole which any one word may fill: "state of the art"
    matches where "art" stands three positions after "state".

    Attributes:
        terms: (n,) the terms; at least 2.
        offsets: (n,) the position of each, counted from the first; ascending from 0.

    """

    terms: tuple[str, ...]
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Self:
        """Take the tokens of an analysed text as a phrase."""
        first = tokens[0].position
        return cls(tuple(t.term for t in tokens), tuple(t.position - first for t in tokens))

    def __str__(self) -> str:
        return f'"{" ".join(self.terms)}"'

    def starts(self, tokens: Sequence[Token]) -> list[int]:
        """Return the position of every occurrence's first term in a text's tokens, ascending."""
        positions = defaultdict(set)
        for token in tokens:
            positions[token.term].add(token.position)
        return sorted(
            start
            for start in positions[self.terms[0]]
            if all(start + o in positions[t] for t, o in zip(self.terms, self.offsets, strict=True))
        )

    def matches(self, tokens: Sequence[Token]) -> list[Token]:
        """Return the tokens that belong to any occurrence, in their order."""
        places = {
            (term, start + offset)
            for start in self.starts(tokens)
            for term, offset in zip(self.terms, self.offsets, strict=True)
        }
        return [token for token in tokens if (token.term, token.position) in places]


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
