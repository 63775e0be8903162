"""What an analyser is: text -> terms, documents -> term ids; and one made from a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.analysis.tokenizer import without_surrogates

__all__ = [
    "Analyzer",
    "Encoder",
    "FunctionAnalyzer",
    "TermEncoder",
    "Token",
]


class Encoder(Protocol):
    """Turns texts into term ids; ids are given in the order in which terms are first met."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        ...

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts.

        Args:
            texts: (n,) the texts.

        Returns:
            (t,) int32, the term ids of all texts one after the other, in the order of the text;
            (n + 1,) int64, where each text's ids begin, and the end.

        """
        ...


class TermEncoder:
    """An encoder for any function from text to terms."""

    def __init__(self, terms: Callable[[str], Iterable[str]]) -> None:
        self._terms = terms
        self._ids: dict[str, int] = {}
        self._vocabulary: list[str] = []

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        return self._vocabulary

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts; see ``Encoder.encode``."""
        rows = [[self._id(term) for term in self._terms(text)] for text in texts]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(offsets[-1]))
        return ids, offsets

    def _id(self, term: str) -> int:
        known = self._ids.get(term)
        if known is None:
            known = self._ids[term] = len(self._vocabulary)
            self._vocabulary.append(term)
        return known


class Token(NamedTuple):
    """A term at its place.

    Attributes:
        term: what is indexed.
        start: where it begins in the text, in characters.
        end: where it ends in the text; equal to ``start`` where the place is not known.
        position: its number among the text's words; stop words leave holes.

    """

    term: str
    start: int
    end: int
    position: int


class Analyzer(ABC):
    """Text -> terms, the same for documents and queries; the index stores which one it was.

    Attributes:
        name: what it is called in an index.
        version: goes up when the same text gives other terms than before, so that an index of the
            old ones is not searched with the new.

    """

    version: int = 1

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places."""

    def terms(self, text: str) -> list[str]:
        """Return the text's terms in order."""
        return [token.term for token in self.tokens(text)]

    def spec(self) -> dict[str, Any]:
        """Return what an index stores, as JSON, to find the same analyser again."""
        return {"name": self.name, "version": self.version}

    def encoder(self, *, threads: int = 1) -> Encoder:  # noqa: ARG002 - a function has no threads
        """Return what analyses documents in bulk, with the same terms as ``terms``."""
        return TermEncoder(self.terms)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class FunctionAnalyzer(Analyzer):
    """An analyser from a function: text -> terms, or tokens where places are known."""

    def __init__(self, name: str, function: Callable[[str], Iterable[str | Token]]) -> None:
        super().__init__(name)
        self._function = function

    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places, so far as the function gives them."""
        found = self._function(without_surrogates(text))
        return [
            item if isinstance(item, Token) else Token(item, 0, 0, position)
            for position, item in enumerate(found)
        ]
