"""The clients' errors, and those inside a server's answers -> this package's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from twopass.retriever.errors import (
    BackendError,
    IncompatibleClientError,
    RefusedError,
    RemoteIndexMissingError,
    UnauthorizedError,
    UnreachableError,
)

__all__ = ["UNAVAILABLE", "error_of_status", "reason_of", "translated_errors"]

_BY_STATUS = {401: UnauthorizedError, 403: UnauthorizedError, 404: RemoteIndexMissingError}
UNAVAILABLE = (429, 502, 503, 504)
"""What a server answers that may take the same request a little later."""

_CLIENTS = {
    "elasticsearch": ("elasticsearch", "elasticsearch"),
    "elastic_transport": ("elasticsearch", "elasticsearch"),
    "opensearchpy": ("opensearch", "opensearch-py"),
}
_UNTRUSTED = {"TlsError", "SSLError"}


@contextmanager
def translated_errors(request: str) -> Iterator[None]:
    """Raise the clients' errors in this block as this package's, chained."""
    try:
        yield
    except Exception as error:
        home = type(error).__module__.partition(".")[0]
        if home not in _CLIENTS:
            raise
        raise _translation(request, error, home) from error


def error_of_status(request: str, status: int, reason: str) -> BackendError:
    """Return the error for a status that is none of success, and its reason."""
    kind = UnreachableError if status in UNAVAILABLE else _BY_STATUS.get(status, RefusedError)
    return kind(f"{request}: the server answered {status}: {reason}")


def reason_of(error: Any) -> str:
    """Return why, of what stands under ``error`` in an answer."""
    if not isinstance(error, Mapping):
        return str(error)
    reason = str(error.get("reason") or error.get("type"))
    causes = error.get("root_cause") or []  # "all shards failed" says nothing by itself
    inner = [str(cause["reason"]) for cause in causes if cause.get("reason")]
    return f"{reason}: {inner[0]}" if inner and inner[0] not in reason else reason


def _translation(request: str, error: Exception, home: str) -> BackendError:
    name = type(error).__name__
    if name == "UnsupportedProductError":
        return _misunderstood(request, "the server is no Elasticsearch", home)
    status = getattr(error, "status_code", None)  # OpenSearch's may be a word
    if not isinstance(status, int):
        hint = "check its address, and that it runs"
        if name in _UNTRUSTED:
            hint = "its certificate is not trusted: name its authority's file as ca_certs"
        return UnreachableError(f"{request}: the server did not answer ({error}); {hint}")
    body: Any = getattr(error, "body", None) or getattr(error, "info", None)
    reason = reason_of(body.get("error") or error) if isinstance(body, dict) else str(error)
    if status == 406 or "media_type_header" in str(error):
        return _misunderstood(request, f"the server answered {status}: {reason}", home)
    return error_of_status(request, status, reason)


def _misunderstood(request: str, what: str, home: str) -> BackendError:
    from importlib.metadata import version

    engine, package = _CLIENTS[home]
    advice = {
        "elasticsearch": (
            "pip install 'elasticsearch>=8.15,<9' serves Elasticsearch 8 and 9; "
            "for OpenSearch, say engine (or retriever.kind) 'opensearch'"
        ),
        "opensearch": "for Elasticsearch, say engine (or retriever.kind) 'elasticsearch'",
    }
    return IncompatibleClientError(
        f"{request}: {what}; it does not understand the installed client "
        f"{package} {version(package)}: {advice[engine]}"
    )
