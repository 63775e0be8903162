"""A server of either kind behind one small interface: JSON requests, repeated while it is too busy.

The two official clients have grown apart in their named methods; a request of theirs is still the
same, with their pools and authentication.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import quote

from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from twopass.retriever.elastic.errors import translated_errors
from twopass.retriever.errors import BackendError, UnreachableError

__all__ = [
    "Connection",
    "Engine",
    "connect",
    "part",
    "retrying",
    "timed_out",
]


_LONGEST = 20.0

_logger = logging.getLogger(__name__)


def retrying(
    retries: int,
    *,
    first: float = 0.2,
    unless: Callable[[UnreachableError], bool] = lambda _: False,
    unfinished: Callable[[Any], bool] = lambda _: False,
) -> Retrying:
    """Return what calls a function again when it raises ``UnreachableError``.

    The waits double, up to 20 seconds, and up to half of the first is added by chance to each, so
    that many callers do not come back at once. After the last try its outcome stands: what it
    returned or raised.

    Args:
        retries: how often after the first call.
        first: the wait before the first of them, in seconds.
        unless: errors that are not worth another call.
        unfinished: results that are.

    """
    return Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, UnreachableError) and not unless(e))
        | retry_if_result(unfinished),
        wait=wait_exponential(multiplier=first, max=_LONGEST) + wait_random(0, first / 2),
        stop=stop_after_attempt(retries + 1),
        before_sleep=before_sleep_log(_logger, logging.INFO),
        retry_error_callback=_outcome,
    )


def _outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome is not None else None


Engine: TypeAlias = Literal["elasticsearch", "opensearch"]


class Client(Protocol):
    """What the rest of this package needs of an official client."""

    def send(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        """Send a request once; the client's own errors come out of it."""
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...


class Connection:
    """A server, made by :func:`connect`.

    Attributes:
        engine: which of the two it is.
        retries: how often a request is sent again.

    """

    def __init__(
        self, engine: Engine, client: Client, retries: int, urls: Sequence[str] = ()
    ) -> None:
        self.engine = engine
        self.retries = retries
        self._at = ",".join(map(_without_user, urls))
        self._client = client
        self._patiently = retrying(retries, unless=timed_out)

    def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Send JSON and return the answer's; again, a few times, where the server is too busy.

        A request that took longer than the time allowed is not repeated: it may still be running.

        Args:
            method: of HTTP.
            path: of the server; parts in it are quoted by :func:`part`.
            body: a JSON value, a list of them to be sent one a line, or such lines as bytes.
            params: of the query string.

        Raises:
            BackendError: what went wrong, by its subclass.

        """
        return self._patiently(self.send, method, path, body, **params)

    def send(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Do the same once."""
        with translated_errors(f"{self._at}{path}"):
            return self._client.send(method, path, body, params)

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()


def connect(
    url: str | Sequence[str],
    *,
    engine: Engine = "elasticsearch",
    timeout: float = 30,
    retries: int = 3,
    **options: Any,
) -> Connection:
    """Connect to a server; nothing is sent before the first request.

    Args:
        url: ``http://host:port`` or ``https://...``; of several nodes of a cluster each, and a
            node that does not answer is left alone for a while.
        engine: which of the two it is.
        timeout: in seconds, of one request.
        retries: how often a request is sent again that the server could not be reached for, or
            was too busy for (429, 502, 503, 504).
        options: of the official client: ``basic_auth`` (``http_auth`` for OpenSearch),
            ``api_key``, ``ca_certs`` and so on.

    Raises:
        BackendError: when the client is not installed, or does not take an option or the URL.

    """
    if engine not in _CLIENTS:
        raise BackendError(f"engine: expected one of {', '.join(_CLIENTS)}, found {engine!r}")
    made, package = _CLIENTS[engine]
    try:
        return Connection(engine, made(_urls(url), timeout, options), retries, _urls(url))
    except ImportError as error:
        raise BackendError(f"{engine}: install its client: pip install '{package}'") from error
    except (TypeError, ValueError) as error:
        raise BackendError(f"{engine} at {' '.join(_urls(url))}: {error}") from error


def part(name: str) -> str:
    """Quote the name of an index or the like as one part of a path."""
    return quote(name, safe="")


def _urls(url: str | Sequence[str]) -> list[str]:
    return [url] if isinstance(url, str) else list(url)


def _without_user(url: str) -> str:
    """Leave out who asks, for messages."""
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}".rstrip("/")


def timed_out(error: UnreachableError) -> bool:
    """Tell whether a request took longer than the time allowed: it may still be running."""
    return type(error.__cause__).__name__ == "ConnectionTimeout"  # in both clients


class _Elasticsearch:
    def __init__(self, urls: list[str], timeout: float, options: Mapping[str, Any]) -> None:
        from elasticsearch import Elasticsearch

        # Its own retries know no waiting.
        self._client = Elasticsearch(urls, request_timeout=timeout, max_retries=0, **options)

    def send(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        lines = isinstance(body, list | bytes)
        kind = "application/x-ndjson" if lines else "application/json"
        headers = {"accept": "application/json"} | ({} if body is None else {"content-type": kind})
        return self._client.perform_request(
            method, path, params=params, headers=headers, body=body
        ).body

    def close(self) -> None:
        self._client.close()


class _OpenSearch:
    def __init__(self, urls: list[str], timeout: float, options: Mapping[str, Any]) -> None:
        from opensearchpy import OpenSearch

        self._client = OpenSearch(urls, timeout=timeout, max_retries=0, **options)

    def send(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        transport = self._client.transport
        if isinstance(body, list):
            body = "".join(transport.serializer.dumps(value) + "\n" for value in body)
        return transport.perform_request(method, path, params=dict(params), body=body)

    def close(self) -> None:
        self._client.close()


_CLIENTS: dict[str, tuple[Callable[[list[str], float, Mapping[str, Any]], Client], str]] = {
    "elasticsearch": (_Elasticsearch, "elasticsearch>=8.15,<10"),
    "opensearch": (_OpenSearch, "opensearch-py"),
}
