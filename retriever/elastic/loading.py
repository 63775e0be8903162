"""Documents -> an index on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from retriever.base import BackendError, IndexExistsError, RefusedError
from retriever.documents import Document
from retriever.elastic.bulk import create_documents
from retriever.elastic.connection import Connection, part
from retriever.elastic.mapping import index_body
from retriever.scoring import Lucene

__all__ = ["LoadReport", "load_documents"]

_SHOWN = 10
_OFTEN = 1000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the documents.

    Attributes:
        loaded: how many the server took.
        failed: how many it did not.
        reasons: id and reason of the first that failed.

    """

    loaded: int
    failed: int
    reasons: tuple[tuple[str, str], ...]


def load_documents(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    analysis: Mapping[str, Any],
    scoring: Lucene = Lucene(),  # noqa: B008 - frozen
    shards: int = 1,
    replicas: int = 0,
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Create an index and load documents as a stream; they can be searched on return.

    Args:
        connection: the server.
        name: of the index, new there.
        documents: each id once.
        analysis: the index's settings of that name, see ``server_analyzer``.
        scoring: k1 and b of the server's BM25.
        shards: each scores by its own statistics.
        replicas: further copies.
        progress: called now and then with the number of documents done.

    Raises:
        IndexExistsError: when there is an index of that name.
        BackendError: when the server cannot be reached or refuses; the index is removed again,
            as after any other error.

    """
    path = f"/{part(name)}"
    body = index_body(analysis, scoring, shards=shards, replicas=replicas)
    _create(connection, path, name, body)
    try:
        report = _load(connection, name, documents, progress)
        connection.request("POST", f"{path}/_refresh")
    except BaseException:
        with suppress(BackendError):  # what went wrong first is to be told
            connection.request("DELETE", path)
        raise
    return report


def _create(connection: Connection, path: str, name: str, body: dict[str, Any]) -> None:
    try:
        connection.request("PUT", path, body)
    except RefusedError as error:
        if "already exists" in str(error):
            raise IndexExistsError(
                f"the server has an index {name!r}; delete it there or choose another name"
            ) from error
        raise


def _load(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    progress: Callable[[int], None] | None,
) -> LoadReport:
    loaded = failed = 0
    reasons: list[tuple[str, str]] = []
    for done, outcome in enumerate(create_documents(connection, name, documents), 1):
        if not outcome.reason:
            loaded += 1
        else:
            failed += 1
            reasons += [(outcome.id, outcome.reason)] if failed <= _SHOWN else []
        if progress is not None and done % _OFTEN == 0:
            progress(done)
    if progress is not None:
        progress(loaded + failed)
    return LoadReport(loaded, failed, tuple(reasons))
