"""A long text -> passages: windows of tokens, cut between sentences where that is possible."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.base import InputError
from reranker.texts import TokenizedText

__all__ = ["Windows"]

# where a sentence begins: behind its predecessor's full stop and white space, or on a new line
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*\s+(?=\S)|\n\s*(?=\S)|[。！？](?=\S)")


@dataclass(frozen=True, slots=True)
class Windows:
    """Cuts texts into overlapping windows.

    A window ends before the last sentence that does not fit into it, unless that leaves it less
    than half full; then between words, and only within a word that is longer than half a window
    inside one. The next begins with the first sentence of the last ``overlap`` tokens, if one
    begins there, and otherwise that many tokens back.

    Attributes:
        size: tokens a window at most.
        overlap: tokens that two neighbours share at most.

    Raises:
        InputError: when the overlap is not smaller than half the size.

    """

    size: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.overlap < self.size:
            raise InputError(
                f"expected an overlap of at least 0 and less than half of a window's {self.size} "
                f"tokens, found {self.overlap}"
            )

    def cut(self, text: str, tokens: TokenizedText) -> NDArray[np.int64]:
        """Return the windows of a text, (p, 2) int64: first token and the one behind the last.

        Every token is in at least one window; a text without tokens is one empty window.
        """
        n = len(tokens)
        if n <= self.size:
            return np.array([[0, n]], dtype=np.int64)
        sentences = _sentence_starts(text, tokens)
        words = _word_starts(text, tokens)
        borders, start = [], 0
        while n - start > self.size:
            end = self._end(start, sentences, words)
            borders.append((start, end))
            start = self._next(end, sentences)
        borders.append((start, n))
        return np.array(borders, dtype=np.int64)

    def _end(self, start: int, *borders: NDArray[np.int64]) -> int:
        """Return the last border that leaves the window at least half full, the best kind first."""
        limit = start + self.size
        for places in borders:
            found = int(places[np.searchsorted(places, limit, side="right") - 1])
            if found > start + self.size // 2:
                return found
        return limit

    def _next(self, end: int, sentences: NDArray[np.int64]) -> int:
        """Return where the next window begins: at most the overlap before this one's end."""
        back = end - self.overlap
        found = int(np.searchsorted(sentences, back))
        inside = found < len(sentences) and sentences[found] < end
        return int(sentences[found]) if inside else back


def _sentence_starts(text: str, tokens: TokenizedText) -> NDArray[np.int64]:
    """Return the tokens that begin a sentence, ascending, the first token always among them."""
    places = [match.end() for match in _SENTENCE.finditer(text)]
    found = np.searchsorted(tokens.starts, np.array(places, dtype=np.int64))
    return np.unique(np.concatenate(([0], found[found < len(tokens)])))


def _word_starts(text: str, tokens: TokenizedText) -> NDArray[np.int64]:
    """Return the tokens in front of which there is white space, and the first."""
    white = np.array([char.isspace() for char in text] or [False])
    before = white[np.maximum(tokens.starts - 1, 0)]
    inside = white[np.minimum(tokens.starts, len(white) - 1)]  # some tokens begin with their space
    return np.unique(np.concatenate(([0], np.flatnonzero(before | inside))))
