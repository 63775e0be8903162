"""Splitting text: an automaton that takes the longest token at each place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from retriever.analysis.tables import load_tables
from retriever.native.loops.automaton import next_token

__all__ = ["Tokenizer", "load_tokenizer", "without_surrogates"]

_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Return the text with each lone surrogate, which no encoding can store, as U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


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
