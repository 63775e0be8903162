"""A training from settings: data, examples, model folder with its card."""

from __future__ import annotations

from twopass.pipeline.apps.training.job import Outcome, TrainingJob

__all__ = ["Outcome", "TrainingJob"]
