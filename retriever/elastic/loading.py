"""Documents -> an index on a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from retriever.base import BackendError
from retriever.documents import Document
from retriever.elastic.bulk import create_documents
from retriever.elastic.connection import Connection, part
from retriever.elastic.creating import create_index
from retriever.elastic.mapping import index_body
from retriever.scoring import Lucene

__all__ = ["LoadReport", "load_documents"]

_SHOWN = 10
_OFTEN = 1000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the documents.

    Attributes:
        loaded: how many the index has: those taken now, and those that it had.
        failed: how many the server did not take.
        reasons: id and reason of the first that failed.
        there: how many of the loaded it had already, when loading was resumed.

    """

    loaded: int
    failed: int
    reasons: tuple[tuple[str, str], ...]
    there: int = 0


def load_documents(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    analysis: Mapping[str, Any],
    scoring: Lucene = Lucene(),  # noqa: B008 - frozen
    shards: int = 1,
    replicas: int = 0,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Create an index and load documents as a stream; they can be searched on return.

    No more is read of the documents than is being sent.

    Args:
        connection: the server.
        name: of the index, new there.
        documents: each id once.
        analysis: the index's settings of that name, see ``server_analyzer``.
        scoring: k1 and b of the server's BM25.
        shards: each scores by its own statistics.
        replicas: further copies.
        resume: take up an index that was made alike and pass over what it has; and leave what is
            loaded when this ends early, to be resumed.
        progress: called now and then with the number of documents done.

    Raises:
        IndexExistsError: when there is an index of that name, or with ``resume`` a different one.
        BackendError: when the server cannot be reached or refuses; the index is removed again
            unless ``resume``, as after any other error.

    """
    body = index_body(analysis, scoring, shards=shards, replicas=replicas)
    new = create_index(connection, name, body, resume=resume)
    try:
        return _fill(connection, name, documents, resume=resume and not new, progress=progress)
    except BaseException:
        if not resume:
            with suppress(BackendError):  # what went wrong first is to be told
                connection.request("DELETE", f"/{part(name)}")
        raise


def _fill(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    resume: bool,
    progress: Callable[[int], None] | None,
) -> LoadReport:
    """Load documents into an index that is there, and make them visible."""
    counts: Counter[str] = Counter()
    reasons: list[tuple[str, str]] = []
    outcomes = create_documents(connection, name, documents, resume=resume)
    for done, outcome in enumerate(outcomes, 1):
        counts["failed" if outcome.reason else "loaded"] += 1
        counts["there"] += outcome.there
        if outcome.reason and len(reasons) < _SHOWN:
            reasons.append((outcome.id, outcome.reason))
        if progress is not None and done % _OFTEN == 0:
            progress(done)
    connection.request("POST", f"/{part(name)}/_refresh")
    if progress is not None:
        progress(counts["loaded"] + counts["failed"])
    return LoadReport(counts["loaded"], counts["failed"], tuple(reasons), counts["there"])
