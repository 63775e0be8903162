"""Training on a user's own corpus: negatives from its index, teachers, leaks, measuring."""

from __future__ import annotations

from twopass.pipeline.training.collection import Collection, Leaks, find_leaks
from twopass.pipeline.training.negatives import Mined, Taught, mine, teach

__all__ = ["Collection", "Leaks", "Mined", "Taught", "find_leaks", "mine", "teach"]
