"""Splitting text: an automaton, read from tables, that takes the longest token at each position."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.native.loops.automaton import next_token

__all__ = [
    "HAN",
    "HANGUL",
    "HIRAGANA",
    "KATAKANA",
    "Tables",
    "Tokenizer",
    "load_lower",
    "load_tables",
    "load_tokenizer",
    "without_surrogates",
]


# Kinds of token that the standard tokenizer tells apart, as the rules' order numbers them.
HANGUL, KATAKANA, HAN, HIRAGANA = 3, 4, 7, 8

_CODES = 0x110000


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A deterministic automaton over classes of characters.

    A state is written as its number times ``width``: 0 is dead, ``width`` is the start, and those
    in which a token may end come last.

    Attributes:
        classes: (0x110000,) uint8: the class of each code point.
        steps: (states * width,) uint16: the state after ``state + class``.
        accepting: the first state in which a token may end.
        kinds: (states,) uint8: the kind of token that ends in each state, 0 for none.
        width: how many classes there are.

    """

    classes: NDArray[np.uint8]
    steps: NDArray[np.uint16]
    accepting: int
    kinds: NDArray[np.uint8]
    width: int

    @property
    def automaton(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16], int, int]:
        """What the kernels read: classes, steps, accepting, width."""
        return self.classes, self.steps, self.accepting, self.width


@cache
def _arrays() -> dict[str, NDArray[np.generic]]:
    with files(__package__).joinpath("tables.npz").open("rb") as file, np.load(file) as stored:
        return dict(stored)


@cache
def load_tables(name: str) -> Tables:
    """Return the tables of one tokenizer: ``standard``, ``letter`` or ``whitespace``."""
    arrays = _arrays()
    first, index = arrays[f"{name}_runs"].T
    steps = arrays[f"{name}_table"]
    width = steps.shape[1]
    kinds = arrays[f"{name}_kinds"].astype(np.uint8)
    return Tables(
        classes=np.repeat(index.astype(np.uint8), np.diff(first, append=_CODES)),
        steps=(steps.astype(np.uint16) * width).ravel(),
        accepting=int(np.flatnonzero(kinds)[0]) * width,
        kinds=kinds,
        width=width,
    )


@cache
def load_lower() -> dict[int, int]:
    """Return simple lower case by code point, as ``str.translate`` takes it."""
    return dict(_arrays()["lower"].tolist())


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
