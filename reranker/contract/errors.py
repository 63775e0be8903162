"""The tree of this package's errors.

::

    RerankerError
    ├── ModelError             a model that cannot be loaded or is not a cross-encoder
    ├── InputError             pairs that cannot be scored as given
    │   └── QueryTooLongError  a query that leaves no room for a document
    ├── OutputError            a scorer that does not give one score a pair
    ├── UnscoredError          pairs that got no score, where all were asked for
    ├── OverloadedError        a scorer that has too much to do already; try again later
    └── RemoteError            a service that refused a request
        ├── DeniedError        ... for want of a key or a right
        └── UnavailableError   ... for it cannot be reached, is too slow or is broken

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

__all__ = [
    "DeniedError",
    "DivergedError",
    "ExamplesError",
    "InputError",
    "ModelError",
    "OutputError",
    "OverloadedError",
    "PublishError",
    "QueryTooLongError",
    "RecipeError",
    "RemoteError",
    "RerankerError",
    "ResumeError",
    "TrainingError",
    "TrainingMemoryError",
    "UnavailableError",
    "UnscoredError",
]


class RerankerError(Exception):
    """Anything that this package reports; its message says what to do next."""


class ModelError(RerankerError):
    """A model that cannot be loaded, or that is not a cross-encoder."""


class InputError(RerankerError):
    """Pairs that cannot be scored as they were given."""


class QueryTooLongError(InputError):
    """A query that leaves no room for a document in the model's length."""


class OutputError(RerankerError):
    """A scorer that breaks its promise: too few scores, too many, or not numbers."""


class UnscoredError(RerankerError):
    """Pairs that got no score where all were asked for."""


class OverloadedError(RerankerError):
    """A scorer whose queue is full, or that cannot be done in time.

    Attributes:
        retry_after: after how many seconds it is worth trying again.

    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RemoteError(RerankerError):
    """A service that refused a request, or answered what cannot be used."""


class DeniedError(RemoteError):
    """A service that wants a key, or another one."""


class UnavailableError(RemoteError):
    """A service that cannot be reached, does not answer in time, or is broken."""


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
