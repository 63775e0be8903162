"""From a scorer's numbers to what clients mean by relevance: from 0 to 1, and comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.sidecar.wrapped import find
from reranker import activations
from reranker.base import PairScorer

__all__ = ["Scale", "scale_of"]

_LEAST = 1e-7  # float32 has no logit of 0 or 1


@dataclass(frozen=True, slots=True)
class Scale:
    """What a scorer's numbers are.

    Attributes:
        probabilities: whether they are from 0 to 1 already; else they are logits.

    """

    probabilities: bool

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) float32 from 0 to 1."""
        return scores if self.probabilities else activations.sigmoid(scores)

    def raw(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) float32 logits."""
        if not self.probabilities:
            return scores
        inside = np.clip(scores, _LEAST, 1 - _LEAST)
        logits: NDArray[np.float32] = np.log(inside / (1 - inside)).astype(np.float32)
        return logits


def scale_of(scorer: PairScorer, said: Literal["auto", "logits", "probabilities"]) -> Scale:
    """Take the settings' word for it, or ask the scorer.

    Where that does not say, its numbers are taken as logits: a sigmoid keeps their order.
    """
    if said != "auto":
        return Scale(said == "probabilities")
    return Scale(bool(find(scorer, "bounded")))
