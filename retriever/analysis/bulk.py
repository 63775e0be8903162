"""Documents -> term ids, compiled and in threads.

Each thread has a table of the distinct words that it has met. Only a word that is new to it goes
through Python (lower case, stop words, stem), once; after that the word is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retriever.analysis.filters import Step
from retriever.analysis.kernels import empty_table, number_words, rehash, settle
from retriever.analysis.tables import Tables
from retriever.analysis.tokenizer import without_surrogates

__all__ = ["WordEncoder"]

# Below so many characters a thread has nothing to win.
_SHARE = 100_000


class WordEncoder:
    """The encoder of an analyser whose terms depend on one word each; see ``Encoder``."""

    def __init__(self, tables: Tables, normalize: Step, *, threads: int = 1) -> None:
        self._lanes = [_Lane(tables) for _ in range(max(1, threads))]
        self._normalize = normalize
        self._ids: dict[str, int] = {"": -1}
        self._vocabulary: list[str] = []

    @property
    def vocabulary(self) -> Sequence[str]:
        """Every term met so far; a term's id is its place."""
        return self._vocabulary

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Analyse texts; see ``Encoder.encode``."""
        shares = _shares(texts, len(self._lanes))
        busy = self._lanes[: len(shares)]
        with ThreadPoolExecutor(len(shares)) as pool:
            run: Callable[..., Any] = pool.map if len(shares) > 1 else map
            numbered = list(run(_Lane.number, busy, shares))
            for lane in busy:  # in the texts' order, so that ids do not depend on timing
                self._learn(lane)
            parts = list(run(_Lane.settle, busy, numbered))
        return _joined(parts)

    def _learn(self, lane: _Lane) -> None:
        """Give term ids to the words that are new to a lane."""
        terms = self._normalize(lane.fresh())
        for term in terms:
            if term not in self._ids:
                self._ids[term] = len(self._vocabulary)
                self._vocabulary.append(term)
        lane.learn([self._ids[term] for term in terms])


class _Lane:
    """One thread's table of words, and the term ids of those."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._table = empty_table()
        self._words = 0
        self._ids = np.empty(0, dtype=np.int32)

    def number(self, texts: Sequence[str]) -> tuple[Any, Any]:
        """Split texts: (t,) int32 word numbers, and (n + 1,) int64 where each text's begin."""
        codes = _code_points("".join(texts))
        bounds = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
        found = np.empty(len(codes), dtype=np.int32)  # as many as there could be
        offsets = np.zeros(len(bounds), dtype=np.int64)
        progress = (0, 0, 0, self._words)
        while True:
            progress = number_words(
                codes, bounds, self._tables.automaton, self._table, progress, found, offsets
            )
            done, _, count, self._words = progress
            if done == len(texts):
                return found[:count], offsets
            self._grow()

    def _grow(self) -> None:
        slots, starts, letters = self._table
        starts, letters = np.resize(starts, 2 * len(starts)), np.resize(letters, 2 * len(letters))
        self._table = rehash(self._words, starts, letters, 2 * len(slots)), starts, letters

    def fresh(self) -> list[str]:
        """Return the words that have no id yet."""
        _, starts, letters = self._table
        bounds = starts[len(self._ids) : self._words + 1]
        text = letters[bounds[0] : bounds[-1]].tobytes().decode("utf-32")
        return [text[start:stop] for start, stop in pairwise((bounds - bounds[0]).tolist())]

    def learn(self, ids: Sequence[int]) -> None:
        """Take the ids of the ``fresh`` words, -1 for none."""
        self._ids = np.concatenate([self._ids, np.array(ids, dtype=np.int32)])

    def settle(self, numbered: tuple[Any, Any]) -> tuple[Any, Any]:
        """Turn word numbers into term ids."""
        words, offsets = numbered
        return settle(words, offsets, self._ids)  # type: ignore[no-any-return]


def _code_points(text: str) -> NDArray[np.uint32]:
    try:
        encoded = text.encode("utf-32")
    except UnicodeEncodeError:
        encoded = without_surrogates(text).encode("utf-32")
    return np.frombuffer(encoded, dtype=np.uint32)[1:]  # after the mark of the byte order


def _shares(texts: Sequence[str], lanes: int) -> list[Sequence[str]]:
    """Cut texts into consecutive parts of about the same size, at most one a lane."""
    ends = list(accumulate(map(len, texts), initial=0))
    parts = min(lanes, 1 + ends[-1] // _SHARE)
    cuts = np.searchsorted(ends, np.linspace(0, ends[-1], parts + 1)[1:-1]).tolist()
    return [texts[start:stop] for start, stop in pairwise([0, *cuts, len(texts)])]


def _joined(parts: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    if len(parts) == 1:
        return parts[0]
    shifts = accumulate((len(ids) for ids, _ in parts), initial=0)
    offsets = [part[1:] + shift for (_, part), shift in zip(parts, shifts, strict=False)]
    zero = np.zeros(1, dtype=np.int64)
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([zero, *offsets])
