"""Training on a user's own corpus: negatives from its index, teachers, leaks, measuring."""

from __future__ import annotations

from pipeline.training.collection import Collection
from pipeline.training.job import TrainingJob
from pipeline.training.leaks import Leaks, find_leaks
from pipeline.training.negatives import Mined, mine
from pipeline.training.teaching import Taught, teach

__all__ = ["Collection", "Leaks", "Mined", "Taught", "TrainingJob", "find_leaks", "mine", "teach"]
