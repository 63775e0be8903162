"""``min_score``: results that are relevant with at least some probability.

A threshold means one thing only. It applies where the calibrated scorer answered: then a document
stays if its probability is high enough, and goes if it is not or if it has none, for want of time
or for lying beyond the depth. Where another scorer answered, as in a chain that fell back, or none
did, nothing is known of any probability: all results stay, and the status says so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SearchError
from pipeline.ranking import RerankStatus
from pipeline.stages import Candidates

__all__ = ["above", "probability", "told"]


def probability(min_score: float | None) -> float | None:
    """Check a threshold that a user gave.

    Raises:
        SearchError: when it is no probability.

    """
    if min_score is None:
        return None
    wrong = isinstance(min_score, bool) or not isinstance(min_score, int | float)
    if wrong or not 0 <= min_score <= 1:
        raise SearchError(
            f"expected min_score to be a probability from 0 to 1, found {min_score!r}"
        )
    return float(min_score)


def above(candidates: Candidates, min_score: float | None) -> NDArray[np.bool_]:
    """Return (n,) bool: which hits stay."""
    found = candidates.scores.probabilities
    if min_score is None or found is None:
        return np.ones(len(candidates.hits), dtype=np.bool_)
    stay = np.zeros(len(candidates.hits), dtype=np.bool_)
    stay[: len(found)] = np.nan_to_num(found, nan=-1.0) >= min_score
    return stay


def told(candidates: Candidates, min_score: float | None) -> RerankStatus:
    """Return the status, which says it where a threshold could not be applied."""
    status = candidates.status
    if min_score is None or candidates.scores.probabilities is not None or not status.candidates:
        return status
    why = f"min_score {min_score:g} not applied: no calibrated scorer answered"
    return replace(status, reason="; ".join(filter(None, (status.reason, why))))
