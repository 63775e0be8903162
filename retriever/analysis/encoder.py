"""Text in bulk: documents -> term ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encoder", "TermEncoder"]


class Encoder(Protocol):
    """Turns texts into term ids; ids are given in the order in which terms are first met."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        ...

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts.

        Args:
            texts: (n,) the texts.

        Returns:
            (t,) int32, the term ids of all texts one after the other, in the order of the text;
            (n + 1,) int64, where each text's ids begin, and the end.

        """
        ...


class TermEncoder:
    """An encoder for any function from text to terms."""

    def __init__(self, terms: Callable[[str], Iterable[str]]) -> None:
        self._terms = terms
        self._ids: dict[str, int] = {}
        self._vocabulary: list[str] = []

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        return self._vocabulary

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts; see ``Encoder.encode``."""
        rows = [[self._id(term) for term in self._terms(text)] for text in texts]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(offsets[-1]))
        return ids, offsets

    def _id(self, term: str) -> int:
        known = self._ids.get(term)
        if known is None:
            known = self._ids[term] = len(self._vocabulary)
            self._vocabulary.append(term)
        return known
