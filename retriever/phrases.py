"""Terms that stand side by side, found by their positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from retriever.analysis import Token

__all__ = ["Phrase"]


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
