"""The tables that the tokenizers run on, as tools/unicode_tables.py wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tables", "load_lower", "load_tables"]

_CODES = 0x110000


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A deterministic automaton over classes of characters.

    Attributes:
        classes: (0x110000,) uint8: the class of each code point.
        steps: (states * width,) uint8: the state after ``state * width + class``; 0 is dead and
            1 is the start.
        kinds: (states,) uint8: the kind of token that may end in a state, 0 for none.
        width: how many classes there are.

    """

    classes: NDArray[np.uint8]
    steps: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    width: int


@cache
def _arrays() -> dict[str, NDArray[np.generic]]:
    with files(__package__).joinpath("tables.npz").open("rb") as file, np.load(file) as stored:
        return dict(stored)


@cache
def load_tables(name: str) -> Tables:
    """Return the tables of one tokenizer: ``standard``, ``letter`` or ``whitespace``."""
    arrays = _arrays()
    first, kinds = arrays[f"{name}_runs"].T
    lengths = np.diff(first, append=_CODES)
    steps = arrays[f"{name}_table"]
    return Tables(
        classes=np.repeat(kinds.astype(np.uint8), lengths),
        steps=steps.ravel().astype(np.uint8),
        kinds=arrays[f"{name}_kinds"].astype(np.uint8),
        width=steps.shape[1],
    )


@cache
def load_lower() -> dict[int, int]:
    """Return simple lower case by code point, as ``str.translate`` takes it."""
    return dict(_arrays()["lower"].tolist())
