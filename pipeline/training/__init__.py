"""Training on a user's own corpus: negatives from its index, teachers, leaks, measuring."""

from __future__ import annotations

from twopass.pipeline.training.collection import Collection, Leaks, find_leaks
from twopass.pipeline.training.negatives import (
    MiningResult,
    TeachingResult,
    mine_negatives,
    score_with_teachers,
)

__all__ = [
    "Collection",
    "Leaks",
    "MiningResult",
    "TeachingResult",
    "find_leaks",
    "mine_negatives",
    "score_with_teachers",
]
