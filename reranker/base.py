"""The seam of this package: what a scorer is, in two sizes; errors and results come along.

``PairScorer`` is all that a scorer must be. ``DetailedScorer`` can also say what it did not score
and why. ``as_detailed`` makes the second of the first, so that whoever calls needs to know one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reranker.errors import (
    InputError,
    ModelError,
    OutputError,
    OverloadedError,
    QueryTooLongError,
    RerankerError,
    UnscoredError,
)
from reranker.scores import Scores, Span

__all__ = [
    "DetailedScorer",
    "InputError",
    "ModelError",
    "OutputError",
    "OverloadedError",
    "PairScorer",
    "QueryTooLongError",
    "RerankerError",
    "Scores",
    "Span",
    "UnscoredError",
    "as_detailed",
]


@runtime_checkable
class PairScorer(Protocol):
    """Scores (query, passage) pairs: the second stage."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order.

        Raises:
            InputError: when a pair is not two strings.

        """
        ...


@runtime_checkable
class DetailedScorer(PairScorer, Protocol):
    """Scores pairs and says how it went; by a deadline, if there is one."""

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what there is to say of each pair, in the pairs' order.

        Args:
            pairs: (n,) of a query and a passage each, the most promising first.
            deadline: seconds from now. Pairs are scored in their order until time is up; the rest
                are NaN, and the reason says so. That nothing could be scored in time is no error.

        Raises:
            InputError: when a pair is not two strings.
            OverloadedError: when there is too much to do already.

        """
        ...


def as_detailed(scorer: PairScorer) -> DetailedScorer:
    """Return the scorer, lifted to a ``DetailedScorer`` where it is none.

    A lifted scorer keeps deadlines by being asked for a few pairs at a time.
    """
    if isinstance(scorer, DetailedScorer):
        return scorer
    from reranker.lifting import LiftedScorer

    return LiftedScorer(scorer)
