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
"""

from __future__ import annotations

__all__ = [
    "DeniedError",
    "InputError",
    "ModelError",
    "OutputError",
    "OverloadedError",
    "QueryTooLongError",
    "RemoteError",
    "RerankerError",
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
    """A scorer whose queue is full.

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
