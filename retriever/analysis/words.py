"""Analysers that split text by tables and turn each word into a term by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from retriever.analysis.analyzer import Analyzer, Token
from retriever.analysis.encoder import Encoder
from retriever.analysis.filters import Step, chain
from retriever.analysis.tokenizer import load_tokenizer, without_surrogates

__all__ = ["WordAnalyzer"]

_REMEMBERED = 1 << 14  # pieces of queries
_SHORT = 64  # characters of a piece that is remembered


class WordAnalyzer(Analyzer):
    """A tokenizer, and steps from its words to terms."""

    def __init__(self, name: str, tokenizer: str, steps: Sequence[Step] = ()) -> None:
        super().__init__(name)
        self.tokenizer = load_tokenizer(tokenizer)
        self.normalize = chain(steps)
        self._remembered = lru_cache(_REMEMBERED)(self._terms)

    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places."""
        text = without_surrogates(text)
        spans = [(start, end) for start, end, _ in self.tokenizer.spans(text)]
        terms = self.normalize([text[start:end] for start, end in spans])
        return [
            Token(term, start, end, position)
            for position, (term, (start, end)) in enumerate(zip(terms, spans, strict=True))
            if term
        ]

    def terms(self, text: str) -> list[str]:
        """Return the text's terms in order."""
        # No token has a space in it: each piece between two is analysed by itself, and once.
        found: list[str] = []
        for piece in without_surrogates(text).split(" "):
            found += self._remembered(piece) if len(piece) <= _SHORT else self._terms(piece)
        return found

    def _terms(self, piece: str) -> list[str]:
        words = [piece[start:end] for start, end, _ in self.tokenizer.spans(piece)]
        return [term for term in self.normalize(words) if term]

    def encoder(self, *, threads: int = 1) -> Encoder:
        """Return what analyses documents in bulk, with the same terms as ``terms``."""
        from retriever.analysis.bulk import WordEncoder

        return WordEncoder(self.tokenizer.tables, self.normalize, threads=threads)
