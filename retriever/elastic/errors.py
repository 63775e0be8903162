"""The clients' errors -> this package's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from retriever.base import (
    BackendError,
    RefusedError,
    RemoteIndexMissingError,
    UnauthorizedError,
    UnreachableError,
)

__all__ = ["UNAVAILABLE", "translated"]

_BY_STATUS = {401: UnauthorizedError, 403: UnauthorizedError, 404: RemoteIndexMissingError}
UNAVAILABLE = (429, 502, 503, 504)
"""What a server answers that may take the same request a little later."""


@contextmanager
def translated(request: str) -> Iterator[None]:
    """Raise the clients' errors in this block as this package's, chained."""
    try:
        yield
    except Exception as error:
        home = type(error).__module__.partition(".")[0]
        if home not in ("elasticsearch", "elastic_transport", "opensearchpy"):
            raise
        raise _translation(request, error) from error


def _translation(request: str, error: Exception) -> BackendError:
    status = getattr(error, "status_code", None)  # OpenSearch's may be a word
    if not isinstance(status, int):
        return UnreachableError(
            f"{request}: the server did not answer ({error}); check its address, and that it runs"
        )
    kind = UnreachableError if status in UNAVAILABLE else _BY_STATUS.get(status, RefusedError)
    return kind(f"{request}: the server answered {status}: {_reason(error)}")


def _reason(error: Exception) -> str:
    body: Any = getattr(error, "body", None) or getattr(error, "info", None)
    cause = body.get("error") if isinstance(body, dict) else None
    if isinstance(cause, dict):
        return str(cause.get("reason") or cause.get("type"))
    return str(cause or error)
