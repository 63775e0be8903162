"""The scores of a document's passages -> the document's."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Aggregation", "aggregate"]

Aggregation: TypeAlias = Literal["max", "mean", "first"]
"""``max``: the best passage's score (MaxP); ``mean``: the mean of the best few; ``first``: the
first passage's, whatever follows (FirstP). Dai and Callan 2019, "Deeper Text Understanding for IR
with Contextual Neural Language Modeling", have the first and the last."""


def aggregate(scores: NDArray[np.float32], how: Aggregation, top: int) -> np.float32:
    """Return the document's score; NaN where no passage has one.

    Args:
        scores: (p,) float32, the passages'; NaN where one was not scored.
        how: by which rule.
        top: of how many of the best scores ``mean`` is the mean; fewer where there are fewer.

    """
    known = scores[~np.isnan(scores)]
    if len(known) == 0:
        return np.float32(np.nan)
    if how == "mean":
        return np.float32(np.sort(known)[-top:].mean())
    return np.float32(known.max())
