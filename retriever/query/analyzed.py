"""A query after analysis: terms and phrases that score, are required, or are excluded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis import Analyzer
from twopass.retriever.query.language import Clause, Occur, Query

if TYPE_CHECKING:
    from twopass.retriever.analysis import Token

__all__ = [
    "Leaf",
    "Leaves",
    "Phrase",
    "Places",
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

    def starts(self, tokens: Sequence[Token] | Places) -> list[int]:
        """Return the position of every occurrence's first term in a text's tokens, ascending."""
        places = tokens if isinstance(tokens, Places) else Places(tokens)
        found: list[int] = _ones(self._first_terms(places)).tolist()
        return found

    def matches(self, tokens: Sequence[Token] | Places) -> list[Token]:
        """Return the tokens that belong to any occurrence, in their order."""
        places = tokens if isinstance(tokens, Places) else Places(tokens)
        firsts = self._first_terms(places)
        if not firsts:
            return []
        shown: dict[str, int] = {}
        for term, offset in zip(self.terms, self.offsets, strict=True):
            shown[term] = shown.get(term, 0) | firsts << offset
        numbers = {number for term, bits in shown.items() for number in places.at(term, bits)}
        return [places.tokens[number] for number in sorted(numbers)]

    def _first_terms(self, places: Places) -> int:
        """Return the positions of every occurrence's first term, a bit each."""
        found = -1
        for term, offset in zip(self.terms, self.offsets, strict=True):
            found &= places.bits(term) >> offset
            if not found:
                break
        return found


class Places:
    """Where the terms of a text stand: to look for many phrases in it.

    A term's positions are the bits of one integer, so that a phrase of many words is found in a
    text that repeats them without comparing each word at each place.

    Args:
        tokens: the text's.

    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        numbers = defaultdict[str, list[int]](list)
        for number, token in enumerate(tokens):
            numbers[token.term].append(number)
        self._numbers = numbers
        self._bits: dict[str, int] = {}

    def bits(self, term: str) -> int:
        """Return a term's positions, a bit each."""
        if term not in self._bits:
            positions = self._positions(term)
            there = np.zeros(positions.max(initial=-1) + 1, np.bool_)
            there[positions] = True
            self._bits[term] = int.from_bytes(np.packbits(there, bitorder="little"), "little")
        return self._bits[term]

    def at(self, term: str, bits: int) -> list[int]:
        """Return the numbers of a term's tokens at certain positions, a bit each."""
        numbers = np.array(self._numbers.get(term, ()), np.int64)
        found: list[int] = numbers[np.isin(self._positions(term), _ones(bits))].tolist()
        return found

    def _positions(self, term: str) -> NDArray[np.int64]:
        found = [self.tokens[number].position for number in self._numbers.get(term, ())]
        return np.array(found, np.int64)


def _ones(bits: int) -> NDArray[np.int64]:
    """Return the places of an integer's ones, ascending."""
    size = (bits.bit_length() + 7) // 8
    octets = np.frombuffer(bits.to_bytes(size, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little"))


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
