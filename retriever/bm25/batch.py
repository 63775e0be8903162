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
        known = lexicon.statistics(chain.from_iterable(queries))
        rows, weights, offsets = [], [], [0]
        for query in queries:
            for term, count in query.items():
                statistics = known[term]
                if statistics.df:
                    rows.append(statistics.numbers)
                    weights.append(statistics.idf * count)
            offsets.append(len(rows))
        numbers = np.array(rows, np.int32).reshape(len(rows), lexicon.n_segments)
        return cls(*_by_weight(numbers, np.array(weights, np.float32), np.array(offsets, np.int64)))

    def totals(self) -> Iterator[float]:
        """Yield the sum of each query's weights."""
        for start, end in pairwise(self.offsets.tolist()):
            yield float(self.weights[start:end].sum(dtype=np.float64))


def _by_weight(
    numbers: NDArray[np.int32], weights: NDArray[np.float32], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """Order each query's terms by falling weight, equal ones as they come; turn the numbers."""
    queries = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-weights, queries))
    return np.ascontiguousarray(numbers[order].T), weights[order], offsets
