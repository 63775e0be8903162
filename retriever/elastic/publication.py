"""A new index behind an alias: searches go on in the old one until the new one is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic.connection import Connection, part
from twopass.retriever.elastic.remote_index import index_body, indices_with_same_body
from twopass.retriever.elastic.upload import LoadReport, load_documents
from twopass.retriever.errors import (
    BackendError,
    IndexExistsError,
    RefusedError,
    RemoteIndexMissingError,
)
from twopass.retriever.scoring import Lucene

__all__ = ["Published", "publish_documents"]


@dataclass(frozen=True, slots=True)
class Published:
    """What an alias stands for now.

    Attributes:
        index: the new index.
        report: what became of the documents.
        replaced: the indices that the alias stood for before.
        removed: those of them that are gone.

    """

    index: str
    report: LoadReport
    replaced: tuple[str, ...]
    removed: tuple[str, ...]


def publish_documents(
    connection: Connection,
    alias: str,
    documents: Iterable[Document],
    *,
    analysis: Mapping[str, Any],
    scoring: Lucene = Lucene(),  # noqa: B008 - frozen
    shards: int = 1,
    replicas: int = 0,
    resume: bool = False,
    remove_old: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Load documents into a new index, ``ALIAS-<time>``, and let the alias stand for it alone.

    The alias moves in one step, and only when the server took every document and counts as many.

    Args:
        connection: the server.
        alias: by which the documents are searched.
        documents: each id once.
        analysis: see ``load_documents``, as of the following.
        scoring: k1 and b of the server's BM25.
        shards: each scores by its own statistics.
        replicas: further copies.
        resume: take up the newest index of this alias that was made alike, and after the one that
            it stands for.
        remove_old: delete what the alias stood for, in the same step; an index that has another
            alias as well stays.
        progress: called now and then with the number of documents done.

    Raises:
        IndexExistsError: when an index has the alias's name.
        RefusedError: when a document was refused; the alias stays, the new index goes unless
            ``resume``.
        BackendError: when the server cannot be reached or refuses.

    """
    old = _indices(connection, alias)
    body = index_body(analysis, scoring, shards=shards, replicas=replicas)
    name = _unfinished(connection, alias, body, old) if resume else ""
    name = name or f"{alias}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    report = load_documents(
        connection,
        name,
        documents,
        analysis=analysis,
        scoring=scoring,
        shards=shards,
        replicas=replicas,
        resume=resume,
        progress=progress,
    )
    try:
        _verify(connection, name, report)
    except BackendError:
        if not resume:
            with suppress(BackendError):  # the first error is the one to report
                connection.request("DELETE", f"/{part(name)}")
        raise
    gone = [each for each in old if remove_old and old[each] == {alias}]
    _swap(connection, alias, name, [each for each in old if each not in gone], gone)
    return Published(name, report, tuple(old), tuple(gone))


def _indices(connection: Connection, alias: str) -> dict[str, set[str]]:
    """Return the indices that an alias stands for, each with all its aliases."""
    try:
        found = connection.request("GET", f"/{part(alias)}/_alias")
    except RemoteIndexMissingError:
        return {}
    if alias in found:
        raise IndexExistsError(
            f"{alias!r} is an index of the server, and cannot be an alias as well; "
            "choose another alias, or delete the index"
        )
    return {name: set(each["aliases"]) for name, each in sorted(found.items())}


def _unfinished(
    connection: Connection, alias: str, body: Mapping[str, Any], old: Iterable[str]
) -> str:
    """Return the newest index that was made and not published; empty where there is none."""
    alike = indices_with_same_body(connection, f"{alias}-2*", body)
    return max((name for name in alike if name > max(old, default="")), default="")


def _verify(connection: Connection, name: str, report: LoadReport) -> None:
    if report.failed:
        id, reason = report.reasons[0]
        raise RefusedError(
            f"{name}: {report.failed:,} of {report.loaded + report.failed:,} documents were "
            f"refused, so that the alias stays as it is; the first, {id!r}: {reason}"
        )
    count = connection.request("GET", f"/{part(name)}/_count")["count"]
    if count != report.loaded:
        raise RefusedError(
            f"{name}: expected {report.loaded:,} documents, the server counts {count:,}; the alias "
            "stays as it is. With resume, an index may hold documents that are no longer in the "
            "source: delete it and start again"
        )


def _swap(
    connection: Connection, alias: str, new: str, kept: Sequence[str], gone: Sequence[str]
) -> None:
    """Let the alias stand for the new index alone, at once."""
    actions = [
        *({"remove": {"index": name, "alias": alias}} for name in kept),
        *({"remove_index": {"index": name}} for name in gone),
        {"add": {"index": new, "alias": alias}},
    ]
    try:
        connection.request("POST", "/_aliases", {"actions": actions})
    except RemoteIndexMissingError:  # as after a first try whose answer was lost
        if set(_indices(connection, alias)) != {new}:
            raise
