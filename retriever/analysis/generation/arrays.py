"""Everything that the file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retriever.analysis.generation.automaton import determine, one, some
from retriever.analysis.generation.characters import (
    CODES,
    NO_WHITESPACE,
    PROPERTIES,
    classes,
    regex,
)
from retriever.analysis.generation.grammar import standard

__all__ = ["arrays"]


def runs(pattern: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Tokens that are runs of one set: classes, transitions, kinds."""
    index, sets = classes({"inside": pattern})
    table, kinds = determine([some(one(sets["inside"]))], int(index.max()) + 1)
    return index, table, kinds


def lower_case() -> NDArray[Any]:
    """(n, 2) int32: code points whose simple lower case differs, and that."""
    pairs = []
    for code in range(CODES):
        lower = chr(code).lower()
        # U+0130 is the one character whose full mapping has two: its simple mapping is "i".
        target = ord(lower[0])
        if target != code:
            pairs.append((code, target))
    return np.array(pairs, dtype=np.int32)


def pack(index: NDArray[Any]) -> NDArray[Any]:
    """Run lengths of a table of classes: (n, 2) int32 of first code point and class."""
    first = np.flatnonzero(np.diff(index, prepend=-1))
    return np.stack([first, index[first]], axis=1).astype(np.int32)


def arrays() -> dict[str, NDArray[Any]]:
    """Return everything that is stored, by name."""
    index, sets = classes(PROPERTIES)
    compiled = {"standard": (index, *determine(standard(sets), int(index.max()) + 1))}
    compiled |= {"letter": runs(r"\p{L}"), "whitespace": runs(NO_WHITESPACE)}
    stored = {"lower": lower_case(), "made_with": np.array([regex().__version__])}
    for name, (index, table, kinds) in compiled.items():
        stored[f"{name}_runs"] = pack(index.astype(np.int16))
        stored[f"{name}_table"] = table
        stored[f"{name}_kinds"] = kinds
    return stored
