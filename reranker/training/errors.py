"""What can go wrong in training, each with what to do.

::

    RerankerError
    └── TrainingError            anything that training reports
        ├── ExamplesError        examples that cannot be read or that a loss cannot use
        ├── RecipeError          a recipe or a loss that is unknown or has unusable values
        ├── ResumeError          a checkpoint of another training
        ├── DivergedError        a loss that is no number any more
        ├── TrainingMemoryError  no room on the device for one batch
        └── PublishError         a model that could not be brought to the hub
"""

from __future__ import annotations

from reranker.base import RerankerError

__all__ = [
    "DivergedError",
    "ExamplesError",
    "PublishError",
    "RecipeError",
    "ResumeError",
    "TrainingError",
    "TrainingMemoryError",
]


class TrainingError(RerankerError):
    """Anything that training reports; its message says what to do next."""


class ExamplesError(TrainingError):
    """Examples that cannot be read, or that the loss cannot learn from."""


class RecipeError(TrainingError):
    """A recipe or a loss that is unknown, or whose values cannot be used."""


class ResumeError(TrainingError):
    """A checkpoint that belongs to another training, or is damaged."""


class DivergedError(TrainingError):
    """A loss that is NaN or infinite: the weights are beyond repair."""


class PublishError(TrainingError):
    """A model that could not be brought to the hub."""


class TrainingMemoryError(TrainingError):
    """A device without room for one batch."""
