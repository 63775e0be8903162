"""The tables that the tokenizers run on, as ``retriever.analysis.generation`` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["HAN", "HANGUL", "HIRAGANA", "KATAKANA", "Tables", "load_lower", "load_tables"]

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
