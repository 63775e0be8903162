"""Splitting text: an automaton that takes the longest token at each place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from retriever.analysis.tables import load_tables

__all__ = ["MAX_LENGTH", "Tokenizer", "load_tokenizer", "next_token", "without_surrogates"]

# Lucene's limit in UTF-16 code units: a longer token is cut there and goes on as the next one.
MAX_LENGTH = 255

_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding can store, as U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def next_token(
    codes: Any, start: int, end: int, classes: Any, steps: Any, kinds: Any, width: int
) -> tuple[int, int, int]:
    """Find the first token at or after ``start``: its start, its end and its kind.

    The same source runs as Python on a query and compiled on a corpus.

    Args:
        codes: (n,) integers: code points.
        start: where to begin.
        end: where the text ends.
        classes: class by code point.
        steps: next state by ``state * width + class``.
        kinds: kind of token by state, 0 for none.
        width: how many classes there are.

    Returns:
        The token's bounds and kind; ``(end, end, 0)`` when there is none.

    """
    while start < end:
        state, place, stop, kind, units = 1, start, start, 0, 0
        while place < end:
            code = codes[place]
            state = steps[state * width + classes[code]]
            units += 2 if code > 0xFFFF else 1
            if state == 0 or units > MAX_LENGTH:
                break
            place += 1
            if kinds[state] != 0:
                kind, stop = kinds[state], place
        if kind != 0:
            return start, stop, kind
        start += 1
    return end, end, 0


class Tokenizer:
    """Splits text by the tables of one name: ``standard``, ``letter`` or ``whitespace``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tables = load_tables(name)
        # Plain bytes are read faster by the interpreter than arrays.
        self._plain = (
            self.tables.classes.tobytes(),
            self.tables.steps.tobytes(),
            self.tables.kinds.tobytes(),
            self.tables.width,
        )

    def spans(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield each token's start, end (in characters) and kind."""
        codes = list(map(ord, text))
        start, end = 0, len(codes)
        while True:
            start, stop, kind = next_token(codes, start, end, *self._plain)
            if kind == 0:
                return
            yield start, stop, kind
            start = stop


@cache
def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of that name; its tables are read once."""
    return Tokenizer(name)
