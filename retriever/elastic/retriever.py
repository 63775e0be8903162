"""An index on a server as the first stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retriever.base import QueryError, RefusedError
from retriever.elastic.connection import Connection, Engine, connect, part
from retriever.elastic.filters import filter_query
from retriever.elastic.mapping import document_of
from retriever.filters import Filter
from retriever.hits import Hits

__all__ = ["ElasticsearchRetriever"]

_WINDOW = 10_000
_BATCH = 50


class ElasticsearchRetriever:
    """Searches an index that ``load_documents`` made, on Elasticsearch or OpenSearch."""

    def __init__(
        self,
        url: str,
        index: str,
        *,
        field: str = "contents",
        engine: Engine = "elasticsearch",
        **options: Any,
    ) -> None:
        """Prepare to search; nothing is sent before the first search.

        Args:
            url: the server's address.
            index: the index's name, or an alias.
            field: the field that queries are matched with.
            engine: which of the two servers it is.
            options: of the official client, see ``connect``.

        """
        self._connection: Connection = connect(url, engine=engine, **options)
        self._index = index
        self._field = field

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the best ``k`` documents of each query: see ``Retriever``.

        Raises:
            QueryError: when ``k`` is not from 1 to 10,000.
            BackendError: when the server cannot be reached, has no such index or refuses.

        """
        if isinstance(queries, str):
            raise QueryError("queries: expected a list of texts, found one string; put it in []")
        if not 1 <= k <= _WINDOW:
            raise QueryError(f"k: expected a number from 1 to {_WINDOW:,}, found {k}")
        bodies = [self._body(query, k, filter) for query in queries]
        batches = (bodies[start : start + _BATCH] for start in range(0, len(bodies), _BATCH))
        return [self._hits(answer) for batch in batches for answer in self._answers(batch)]

    def _answers(self, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = [line for body in bodies for line in ({}, body)]
        path = f"/{part(self._index)}/_msearch"
        answers: list[dict[str, Any]] = self._connection.request("POST", path, lines)["responses"]
        return answers

    def close(self) -> None:
        """Give up the connections."""
        self._connection.close()

    def _body(self, query: str, k: int, filter: Filter | None) -> dict[str, Any]:
        match: dict[str, Any] = {"match": {self._field: {"query": query}}}
        if filter is not None:
            match = {"bool": {"must": [match], "filter": [filter_query(filter)]}}
        return {"query": match, "size": k, "_source": ["title", "text"], "track_total_hits": False}

    def _hits(self, answer: dict[str, Any]) -> Hits:
        if "error" in answer:
            reason = answer["error"].get("reason", answer["error"])
            raise RefusedError(f"{self._index}: the server refused a query: {reason}")
        found = answer["hits"]["hits"]
        documents = [document_of(hit["_id"], hit["_source"]) for hit in found]
        return Hits.of(
            [document.id for document in documents],
            [hit["_score"] for hit in found],
            [document.contents for document in documents],
        )
