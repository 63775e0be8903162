"""The seam of this package: one protocol, and the tree of its errors.

::

    RerankerError
    ├── ModelError             a model that cannot be loaded or is not a cross-encoder
    └── InputError             pairs that cannot be scored as given
        └── QueryTooLongError  a query that leaves no room for a document
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["InputError", "ModelError", "PairScorer", "QueryTooLongError", "RerankerError"]


@runtime_checkable
class PairScorer(Protocol):
    """Scores (query, passage) pairs: the second stage."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order.

        Raises:
            InputError: when a pair is not two strings.

        """
        ...


class RerankerError(Exception):
    """Anything that this package reports; its message says what to do next."""


class ModelError(RerankerError):
    """A model that cannot be loaded, or that is not a cross-encoder."""


class InputError(RerankerError):
    """Pairs that cannot be scored as they were given."""


class QueryTooLongError(InputError):
    """A query that leaves no room for a document in the model's length."""
