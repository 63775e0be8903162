"""Several queries as flat arrays, as the compiled search takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.lexicon import Lexicon

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The terms of q queries, one after another, m of them; of a query by falling weight.

    Attributes:
        numbers: (s, m) int32: each term's number in each segment, -1 where it is not.
        weights: (m,) float32: idf times how much the term counts in its query.
        offsets: (q + 1,) int64: query i has the terms ``offsets[i]`` to ``offsets[i + 1]``.

    """

    numbers: NDArray[np.int32]
    weights: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, queries: Sequence[Mapping[str, float]], lexicon: Lexicon) -> Self:
        """Look up each distinct term once."""
        terms = list(chain.from_iterable(queries))
        n, shape = len(terms), (len(terms), lexicon.n_segments)
        known = lexicon.statistics(terms)
        found = map(known.__getitem__, terms)
        dfs, idfs, rows = zip(*found, strict=True) if terms else ((), (), ())
        numbers = np.fromiter(chain.from_iterable(rows), np.int32, n * shape[1]).reshape(shape)
        counts = np.fromiter(chain.from_iterable(each.values() for each in queries), np.float64, n)
        weights = (np.fromiter(idfs, np.float64, n) * counts).astype(np.float32)
        owners = np.repeat(np.arange(len(queries)), list(map(len, queries)))
        there = np.flatnonzero(np.fromiter(dfs, np.int64, n))
        # Each query's terms by falling weight, equal ones as they come.
        order = there[np.lexsort((-weights[there], owners[there]))]
        sizes = np.bincount(owners[there], minlength=len(queries))
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)))
        return cls(np.ascontiguousarray(numbers[order].T), weights[order], offsets)

    def totals(self) -> Iterator[float]:
        """Yield the sum of each query's weights."""
        for start, end in pairwise(self.offsets.tolist()):
            yield float(self.weights[start:end].sum(dtype=np.float64))
