"""A long text -> passages.

Windows of tokens cut between sentences, and the choice of those worth reading.

The terms are the model's own token ids, so that nothing is analysed twice. The statistics are those
of the one document: a score never depends on what else is scored at the same time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError
from twopass.reranker.text.tokens import TokenizedText

__all__ = [
    "Windows",
    "best_passages",
    "bm25",
]


# Where a sentence begins: behind its predecessor's full stop and white space, or on a new line. No
# quantifier gives anything back, so that a long run of any character is read once.
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*+\s++|\n\s*+|[。！？](?=\S)")


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
    end = len(text.rstrip())  # behind it none begins
    places = [match.end() for match in _SENTENCE.finditer(text, 0, end)]
    found = np.searchsorted(tokens.starts, np.array(places, dtype=np.int64))
    return np.unique(np.concatenate(([0], found[found < len(tokens)])))


def _word_starts(text: str, tokens: TokenizedText) -> NDArray[np.int64]:
    """Return the tokens in front of which there is white space, and the first."""
    white = np.array([char.isspace() for char in text] or [False])
    before = white[np.maximum(tokens.starts - 1, 0)]
    inside = white[np.minimum(tokens.starts, len(white) - 1)]  # some tokens begin with their space
    return np.unique(np.concatenate(([0], np.flatnonzero(before | inside))))


_K1, _B = 1.2, 0.75


def bm25(
    query: NDArray[np.int32], document: NDArray[np.int32], windows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (p,) float64: how well each window of a document answers a query by its terms.

    Lucene's formula (Kamphuis et al. 2020, "Which BM25 do you mean?", the accurate variant):
    the sum over the query's distinct terms of ln(1 + (p - n + 0.5) / (n + 0.5)) * tf /
    (tf + k1 * (1 - b + b * length / mean length)), where n of the p windows have the term.

    Args:
        query: (q,) int32 token ids.
        document: (t,) int32 token ids.
        windows: (p, 2) int64: first token of each window and the one behind its last.

    """
    terms = np.unique(query)
    places = np.flatnonzero(np.isin(document, terms))
    term_of = np.searchsorted(terms, document[places])
    edges = np.searchsorted(places, windows)
    # A number for each term in each window: a table of all would be as large as both multiplied.
    found = [np.empty(0, np.int64)]
    found += [i * len(terms) + term_of[first:last] for i, (first, last) in enumerate(edges)]
    pairs, counts = np.unique(np.concatenate(found), return_counts=True)
    window, term = np.divmod(pairs, max(len(terms), 1))
    having = np.bincount(term, minlength=len(terms))
    idf = np.log1p((len(windows) - having + 0.5) / (having + 0.5))
    lengths = np.diff(windows, axis=1)[:, 0].astype(np.float64)  # (p,)
    norm = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1.0))
    parts = idf[term] * counts / (counts + norm[window])
    scores: NDArray[np.float64] = np.bincount(window, parts, len(windows)).astype(np.float64)
    return scores


def best_passages(
    query: NDArray[np.int32],
    document: NDArray[np.int32],
    windows: NDArray[np.int64],
    budget: int | None,
) -> NDArray[np.int64]:
    """Return the windows to read, the most promising first, (m,) int64 with m <= budget.

    Equally promising ones come in the document's order, so that a document which shares no term
    with the query is read from its beginning. ``None`` is no limit.
    """
    order = np.argsort(-bm25(query, document, windows), kind="stable")
    return order[:budget]
