"""A batch cut for a CPU's cores: into rectangles of rows of about one length.

Three things decide about their sizes. Attention over a number of tokens that is no multiple of what
a processor computes at one time takes up to twice as long, so rows are filled up to one. A
product's code is written anew for every number of tokens, which takes longer than the product does,
so there are few. And activations have to stay in a core's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.engines.engine import plan

__all__ = ["Part", "budget_of_parts", "cut"]

_LANES = 16  # numbers of 32 bits that a processor computes at one time
_FEW = 128  # tokens of a part are a multiple of it, as far as there are so many
_ACTIVATIONS = 3 << 17  # numbers: at 384 wide, 1,024 tokens


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a batch, filled up to a rectangle, and tokens behind it that nobody asked for.

    Attributes:
        rows: (n,) int64: their numbers in the batch.
        own: (n, longest) bool: which of the rectangle's tokens are the rows' own.
        tokens: how many there are, with those behind; at least n * longest.
        firsts: how many rows are computed where one token of each is; at least n.

    """

    rows: NDArray[np.int64]
    own: NDArray[np.bool_]
    tokens: int
    firsts: int

    def spread(self, values: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the rows' values, given one after the other, by token: (tokens,), elsewhere 0."""
        spread = np.zeros(self.tokens, dtype=np.int64)
        spread[: self.own.size].reshape(self.own.shape)[self.own] = values
        return spread


def budget_of_parts(width: int, workers: int) -> int:
    """Return how many tokens a batch had best have: at its end some workers have nothing to do."""
    return 8 * _limit(width) * workers


def cut(lengths: NDArray[np.int64], width: int, workers: int) -> list[Part]:
    """Cut rows into parts, the longest first, for workers that take one after the other.

    Args:
        lengths: (n,) int64, the rows' tokens.
        width: of a token's activations.
        workers: who all are to have something to do.

    Returns:
        The parts; every row is in exactly one.

    """
    filled = _up(lengths, _LANES)
    share = -(-int(filled.sum()) // workers)
    budget = max(_FEW, min(share, _limit(width)))
    found = []
    for rows in plan(filled, budget):
        longest = max(_LANES, int(filled[rows].max()))
        own = np.arange(longest) < lengths[rows, None]
        found.append(Part(rows, own, _up(own.size, _FEW), 1 << (len(rows) - 1).bit_length()))
    return found


def _limit(width: int) -> int:
    """Return how many tokens a part has at most, where a row is not longer."""
    return max(_FEW, _ACTIVATIONS // width)


def _up(number: Any, step: int) -> Any:
    """Round up to a multiple."""
    return -(-number // step) * step
