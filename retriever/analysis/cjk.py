"""Chinese, Japanese and Korean without spaces: pairs of neighbouring characters.

As Lucene's CJKAnalyzer: runs of Han, Hiragana, Katakana and Hangul become overlapping pairs, a
character that stands alone stays alone, and everything else is a word in lower case. Forms of
other widths are made the usual ones before.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

from retriever.analysis.analyzer import Analyzer, Token
from retriever.analysis.filters import lower
from retriever.analysis.languages import stop_words
from retriever.analysis.tables import HAN, HANGUL, HIRAGANA, KATAKANA
from retriever.analysis.tokenizer import load_tokenizer, without_surrogates

__all__ = ["CJKAnalyzer"]

_KINDS = frozenset({HAN, HANGUL, HIRAGANA, KATAKANA})
_OTHER_WIDTH = re.compile("[\uff01-\uff5e\uff65-\uff9f]+")

# A text and its bounds: what becomes a term, or a character that becomes half of one.
Piece: TypeAlias = tuple[str, int, int]


class CJKAnalyzer(Analyzer):
    """The analyser ``cjk``."""

    def __init__(self) -> None:
        super().__init__("cjk")
        self._tokenizer = load_tokenizer("standard")
        self._stop = stop_words("cjk")

    def tokens(self, text: str) -> list[Token]:
        """Return the text's terms with their places."""
        pieces = self._pieces(without_surrogates(text))
        return [
            Token(term, start, end, position)
            for position, (term, start, end) in enumerate(pieces)
            if term not in self._stop
        ]

    def _pieces(self, text: str) -> Iterator[Piece]:
        run: list[Piece] = []
        for start, end, kind in self._tokenizer.spans(text):
            if run and (kind not in _KINDS or start != run[-1][2]):
                yield from _pairs(run)
                run = []
            if kind in _KINDS:
                run += _characters(text[start:end], start)
            else:
                yield lower([_usual_width(text[start:end])])[0], start, end
        yield from _pairs(run)


def _pairs(run: list[Piece]) -> Iterable[Piece]:
    if len(run) < 2:
        return run
    return [(one + two, start, end) for (one, start, _), (two, _, end) in pairwise(run)]


def _characters(word: str, start: int) -> list[Piece]:
    usual = _usual_width(word)
    if len(usual) == len(word):
        return [(letter, start + i, start + i + 1) for i, letter in enumerate(usual)]
    return [(letter, start, start + len(word)) for letter in usual]  # two made one: no more exact


def _usual_width(word: str) -> str:
    return _OTHER_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), word)
