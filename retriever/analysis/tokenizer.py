"""Splitting text: an automaton that takes the longest token at each place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from retriever.analysis.tables import load_tables

__all__ = ["MAX_LENGTH", "Tokenizer", "load_tokenizer", "next_token", "without_surrogates"]

# Lucene's limit in UTF-16 code units: a longer token is cut there and goes on as the next one. Its
# whitespace and letter tokenizers let a character that takes two units reach one beyond.
MAX_LENGTH = 255

_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding can store, as U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def next_token(
    codes: Any, start: int, end: int, classes: Any, steps: Any, accepting: int, width: int
) -> tuple[int, int, int]:
    """Find the first token at or after ``start``: the longest that begins there.

    The same source runs as Python on a query and compiled on a corpus.

    Args:
        codes: (n,) integers: code points.
        start: where to begin.
        end: where the text ends.
        classes: (0x110000,) the class of each code point.
        steps: (states * width,) next state by ``state + class``.
        accepting: the first of the states in which a token may end.
        width: how many classes there are; also the starting state.

    Returns:
        The token's start and end and the state in which it ends; ``(end, end, 0)`` when there
        is none.

    """
    while start < end:
        state, place, stop, last, room = width, start, start, 0, start + MAX_LENGTH
        while place < end:
            code = codes[place]
            if code > 0xFFFF:  # two code units in UTF-16
                room -= 1
            state = int(steps[state + classes[code]])
            if state == 0 or place >= room:
                break
            place += 1
            if state >= accepting:
                last, stop = state, place
        if last != 0:
            return start, stop, last
        start += 1
    return end, end, 0


class Tokenizer:
    """Splits text by the tables of one name: ``standard``, ``letter`` or ``whitespace``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tables = load_tables(name)
        # The interpreter reads bytes and lists faster than arrays.
        self._plain = (
            self.tables.classes.tobytes(),
            self.tables.steps.tolist(),
            self.tables.accepting,
            self.tables.width,
        )
        self._kinds = self.tables.kinds.tolist()

    def spans(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield each token's start, end (in characters) and kind."""
        codes = list(map(ord, text))
        stop, end = 0, len(codes)
        while True:
            start, stop, state = next_token(codes, stop, end, *self._plain)
            if state == 0:
                return
            yield start, stop, self._kinds[state // self.tables.width]


@cache
def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of that name; its tables are read once."""
    return Tokenizer(name)
