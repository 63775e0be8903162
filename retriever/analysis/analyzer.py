"""What an analyser is, and the one that a user makes from a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from retriever.analysis.encoder import Encoder, TermEncoder
from retriever.analysis.tokenizer import without_surrogates

__all__ = ["Analyzer", "FunctionAnalyzer", "Token"]


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
