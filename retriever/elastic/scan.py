"""An index on a server, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic.connection import Connection, part
from twopass.retriever.elastic.queries import IndexFields
from twopass.retriever.errors import BackendError

__all__ = ["read_documents", "read_pages"]

_KEEP = "5m"


def read_documents(
    connection: Connection,
    name: str,
    *,
    page: int = 1000,
    fields: IndexFields = IndexFields(),  # noqa: B008 - frozen
    routing: str | None = None,
) -> Iterator[Document]:
    """Yield every document of an index, ordered by shard.

    All pages show the index as it was when the first was read, whatever is written meanwhile.

    Args:
        connection: the server.
        name: of the index, or an alias.
        page: how many documents a request brings.
        fields: which of them are title, text and metadata, where the index is not one of ours.
        routing: reads only the shards of this value.

    Raises:
        BackendError: when the server cannot be reached, has no such index, refuses, or a shard
            does not answer.

    """
    # OpenSearch before 3.3 has no other order than by a field; only our indices have the id as one.
    by_id = connection.engine == "opensearch" and fields == IndexFields()
    sort = [{"id" if by_id else "_shard_doc": "asc"}]
    body = {"size": page, "sort": sort, "track_total_hits": False}
    for answer in read_pages(connection, name, body, routing=routing):
        for hit in answer["hits"]["hits"]:
            yield fields.document(hit["_id"], hit["_source"])


def read_pages(
    connection: Connection, name: str, body: Mapping[str, Any], *, routing: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the answers to one search, page after page, until nothing more is found.

    Args:
        connection: the server.
        name: of the index, or an alias.
        body: of ``_search``, with ``size`` and a ``sort`` in which no two documents are equal.
        routing: reads only the shards of this value.

    Raises:
        BackendError: when the server cannot be reached, has no such index, refuses, or a shard
            does not answer.

    """
    pit = _open(connection, name, routing)
    after: dict[str, Any] = {}
    try:
        while True:
            place = {"pit": {"id": pit, "keep_alive": _KEEP}} | after
            answer = connection.request(
                "POST", "/_search", {**body, **place}, allow_partial_search_results="false"
            )
            hits = answer["hits"]["hits"]
            if not hits:
                return
            yield answer
            pit, after = answer.get("pit_id", pit), {"search_after": hits[-1]["sort"]}
    finally:
        _close(connection, pit)


def _open(connection: Connection, name: str, routing: str | None) -> str:
    given = {"keep_alive": _KEEP} | ({} if routing is None else {"routing": routing})
    if connection.engine == "elasticsearch":
        return str(connection.request("POST", f"/{part(name)}/_pit", **given)["id"])
    path = f"/{part(name)}/_search/point_in_time"
    return str(connection.request("POST", path, **given)["pit_id"])


def _close(connection: Connection, pit: str) -> None:
    """Give up a point in time; one that cannot be given up now ends by itself."""
    try:
        if connection.engine == "elasticsearch":
            connection.send("DELETE", "/_pit", {"id": pit})
        else:
            connection.send("DELETE", "/_search/point_in_time", {"pit_id": [pit]})
    except BackendError:
        pass
