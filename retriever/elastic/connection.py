"""A server of either kind behind one small seam: JSON requests and bulk loading.

The two official clients have grown apart in their named methods; a request of theirs is still the
same, with their pools, retries and authentication.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import quote

from retriever.base import BackendError
from retriever.elastic.errors import translated

__all__ = ["Connection", "Engine", "connect"]

Engine: TypeAlias = Literal["elasticsearch", "opensearch"]

_CHUNK = 500
_CHUNK_BYTES = 10 * 1024 * 1024
_RETRIES = 5


class Connection(Protocol):
    """What the rest of this package needs of a server."""

    engine: Engine

    def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Send JSON and return the answer's.

        Args:
            method: of HTTP.
            path: of the server; parts in it are quoted by :func:`part`.
            body: a JSON value, or a list of them to be sent one a line.
            params: of the query string.

        Raises:
            BackendError: what went wrong, by its subclass.

        """
        ...

    def bulk(self, actions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Send documents as they come, and yield what became of each, in order.

        A document that the server is too busy for (429) is sent again, ever more patiently.
        """
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...


def connect(
    url: str, *, engine: Engine = "elasticsearch", timeout: float = 30, **options: Any
) -> Connection:
    """Connect to a server; nothing is sent before the first request.

    Args:
        url: ``http://host:port`` or ``https://...``.
        engine: which of the two it is.
        timeout: in seconds, of one request.
        options: of the official client: ``basic_auth`` (``http_auth`` for OpenSearch),
            ``api_key``, ``ca_certs`` and so on.

    Raises:
        BackendError: when the client is not installed, or does not take an option or the URL.

    """
    if engine not in _CLIENTS:
        raise BackendError(f"engine: expected one of {', '.join(_CLIENTS)}, found {engine!r}")
    made, package = _CLIENTS[engine]
    try:
        return made(url, timeout, options)
    except ImportError as error:
        raise BackendError(f"{engine}: install its client: pip install '{package}'") from error
    except (TypeError, ValueError) as error:
        raise BackendError(f"{engine} at {url}: {error}") from error


def part(name: str) -> str:
    """Quote the name of an index or the like as one part of a path."""
    return quote(name, safe="")


class _Elasticsearch:
    engine: Engine = "elasticsearch"

    def __init__(self, url: str, timeout: float, options: Mapping[str, Any]) -> None:
        from elasticsearch import Elasticsearch

        self._client = Elasticsearch(url, request_timeout=timeout, **options)

    def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        lines = isinstance(body, list)
        kind = "application/x-ndjson" if lines else "application/json"
        headers = {"accept": "application/json"} | ({} if body is None else {"content-type": kind})
        with translated(path):
            return self._client.perform_request(
                method, path, params=params, headers=headers, body=body
            ).body

    def bulk(self, actions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        from elasticsearch.helpers import streaming_bulk

        with translated("_bulk"):
            yield from streaming_bulk(
                self._client,
                actions,  # type: ignore[arg-type]  # its own type leaves out Mapping
                chunk_size=_CHUNK,
                max_chunk_bytes=_CHUNK_BYTES,
                max_retries=_RETRIES,
                initial_backoff=0.5,
                raise_on_error=False,
            )

    def close(self) -> None:
        self._client.close()


class _OpenSearch:
    engine: Engine = "opensearch"

    def __init__(self, url: str, timeout: float, options: Mapping[str, Any]) -> None:
        from opensearchpy import OpenSearch

        self._client = OpenSearch(url, timeout=timeout, **options)

    def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        with translated(path):
            if isinstance(body, list):
                body = "".join(self._client.transport.serializer.dumps(v) + "\n" for v in body)
            return self._client.transport.perform_request(method, path, params=params, body=body)

    def bulk(self, actions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        from opensearchpy.helpers import streaming_bulk

        with translated("_bulk"):
            yield from streaming_bulk(
                self._client,
                actions,
                chunk_size=_CHUNK,
                max_chunk_bytes=_CHUNK_BYTES,
                max_retries=_RETRIES,
                initial_backoff=1,
                raise_on_error=False,
            )

    def close(self) -> None:
        self._client.close()


_CLIENTS: dict[str, tuple[Callable[[str, float, Mapping[str, Any]], Connection], str]] = {
    "elasticsearch": (_Elasticsearch, "elasticsearch>=8.15,<10"),
    "opensearch": (_OpenSearch, "opensearch-py"),
}
