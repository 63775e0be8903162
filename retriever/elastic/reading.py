"""An index on a server -> documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retriever.documents import Document
from retriever.elastic.connection import Connection, part
from retriever.elastic.mapping import document_of

__all__ = ["read_documents"]

_KEEP = "5m"


def read_documents(connection: Connection, name: str, *, page: int = 1000) -> Iterator[Document]:
    """Yield every document of an index that ``load_documents`` made, ordered by shard.

    All pages show the index as it was when the first was read, whatever is written meanwhile.

    Args:
        connection: the server.
        name: of the index, or an alias.
        page: how many documents a request brings.

    Raises:
        BackendError: when the server cannot be reached, has no such index or refuses.

    """
    pit = _open(connection, name)
    after: list[Any] | None = None
    try:
        while True:
            body: dict[str, Any] = {
                "size": page,
                "pit": {"id": pit, "keep_alive": _KEEP},
                "sort": [{"_shard_doc": "asc"}] if connection.engine == "elasticsearch" else _BY_ID,
                "track_total_hits": False,
            }
            if after is not None:
                body["search_after"] = after
            answer = connection.request("POST", "/_search", body)
            hits = answer["hits"]["hits"]
            if not hits:
                return
            yield from (document_of(hit["_id"], hit["_source"]) for hit in hits)
            pit, after = answer["pit_id"], hits[-1]["sort"]
    finally:
        _close(connection, pit)


_BY_ID = [{"id": "asc"}]


def _open(connection: Connection, name: str) -> str:
    if connection.engine == "elasticsearch":
        answer = connection.request("POST", f"/{part(name)}/_pit", keep_alive=_KEEP)
        return str(answer["id"])
    path = f"/{part(name)}/_search/point_in_time"
    return str(connection.request("POST", path, keep_alive=_KEEP)["pit_id"])


def _close(connection: Connection, pit: str) -> None:
    if connection.engine == "elasticsearch":
        connection.request("DELETE", "/_pit", {"id": pit})
    else:
        connection.request("DELETE", "/_search/point_in_time", {"pit_id": [pit]})
