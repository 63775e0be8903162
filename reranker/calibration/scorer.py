"""A scorer that also says how likely it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reranker.base import PairScorer, Scores, as_detailed
from reranker.calibration.calibration import Calibration

__all__ = ["CalibratedScorer"]


class CalibratedScorer:
    """Adds to each score the probability that the pair is relevant.

    The scores stay as they are, and with them every order and every fusion: the probabilities are
    a column of their own, :attr:`~reranker.base.Scores.probabilities`. There are none where another
    scorer answered than the one that was calibrated, as in a chain that fell back: a threshold on
    them never means something else than it did.

    Args:
        scorer: what scores.
        calibration: fitted to its scores.
        by: the name that the calibrated scorer signs with (``Scores.by``); None for whichever.

    """

    def __init__(
        self, scorer: PairScorer, calibration: Calibration, *, by: str | None = None
    ) -> None:
        self._scorer = as_detailed(scorer)
        self._calibration = calibration
        self._by = by

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the scores, (n,) float32, as the scorer gives them."""
        return self._scorer.predict(pairs)

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the probability that each pair is relevant, (n,) float32."""
        return self._calibration(self.predict(pairs))

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what the scorer says, with probabilities; see ``DetailedScorer``."""
        found = self._scorer.score(pairs, deadline=deadline)
        if self._by not in (None, found.by):
            return found
        return replace(found, probabilities=self._calibration(found.values))
