"""A training run from settings: data, examples, a model folder with its card."""

from __future__ import annotations

from twopass.pipeline.apps.training.job import Outcome, TrainingJob

__all__ = ["Outcome", "TrainingJob"]
