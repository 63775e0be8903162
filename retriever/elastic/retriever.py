"""An index on a server as the first stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic.connection import Connection, Engine, connect
from twopass.retriever.elastic.queries import IndexFields, QueryTemplate
from twopass.retriever.elastic.scan import read_documents, read_pages
from twopass.retriever.elastic.search import Found, found_in, hits_in, search_all
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = ["ElasticsearchRetriever"]

_WINDOW = 10_000  # a server's index.max_result_window, unless it is configured otherwise


class ElasticsearchRetriever:
    """Searches an index on Elasticsearch or OpenSearch: one of ours, or any other.

    Many threads may use one. A search that part of the index did not answer gives what the rest
    found, and says so in the hits' ``warnings``.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        index: str,
        *,
        engine: Engine = "elasticsearch",
        fields: IndexFields = IndexFields(),  # noqa: B008 - frozen
        template: str | Mapping[str, Any] | None = None,
        routing: str | None = None,
        global_statistics: bool = False,
        **options: Any,
    ) -> None:
        """Prepare to search; nothing is sent before the first search.

        Args:
            url: the server's address, or those of several nodes.
            index: the index's name, or an alias; several with commas between them.
            engine: which of the two servers it is.
            fields: which fields are searched and read, where the index is not one of ours.
            template: a query with ``{query}`` in its strings, in place of matching ``fields``;
                see ``QueryTemplate``.
            routing: searches only the shards of this value.
            global_statistics: score by the documents of all shards together, as one shard would,
                at the price of asking them first; not for ``pages``.
            options: of the official client, see ``connect``.

        Raises:
            QueryError: when the template cannot be used.
            BackendError: when the client is not installed, or does not take an option or the URL.

        """
        self._template = None if template is None else QueryTemplate(template)
        self._fields = fields
        self._index = index
        self._routing = routing
        self._header = {} if routing is None else {"routing": routing}
        if global_statistics:
            self._header["search_type"] = "dfs_query_then_fetch"
        self._connection: Connection = connect(url, engine=engine, **options)

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the best ``k`` documents of each query: see ``Retriever``.

        Queries are sent 50 at a time; those that the server is too busy for are sent again.

        Raises:
            QueryError: when ``k`` is not from 1 to 10,000: ``pages`` goes deeper.
            UnreachableError: when the server cannot be reached, or stays too busy.
            UnauthorizedError: when it wants to know who asks, or forbids it.
            RemoteIndexMissingError: when it has no such index.
            RefusedError: when it does not take the query.

        """
        if isinstance(queries, str):
            raise QueryError("queries: expected a list of texts, found one string; put it in []")
        _check(k)
        bodies = [self._body(query, filter) | {"size": k} for query in queries]
        answers = search_all(self._connection, self._index, bodies, header=self._header)
        return [hits_in(answer, self._fields) for answer in answers]

    def find(
        self,
        query: str,
        k: int = 10,
        *,
        filter: Filter | None = None,
        source: Sequence[str] = ("*",),
        highlight: Mapping[str, Any] | None = None,
    ) -> Found:
        """Search for one query, and return of each document what is asked for.

        Args:
            query: the text.
            k: how many documents at most, from 1 to 10,000.
            filter: only documents that match it are considered.
            source: names or patterns of the fields to return; those of title and text come along.
            highlight: the server's own request of that name: ``{"fields": {"text": {}}}``.

        Raises:
            QueryError: when ``k`` is out of range.
            BackendError: as ``search``.

        """
        _check(k)
        body = self._body(query, filter) | {"size": k, "track_total_hits": True}
        body["_source"] = sorted({*self._fields.read, *source})
        if highlight is not None:
            body["highlight"] = dict(highlight)
        (answer,) = search_all(self._connection, self._index, [body], header=self._header)
        return found_in(answer, self._fields)

    def pages(
        self, query: str, size: int = 1000, *, filter: Filter | None = None
    ) -> Iterator[Hits]:
        """Yield all that matches a query, best first, ``size`` documents at a time, however deep.

        All pages show the index as it was at the first; no page is partial.

        Raises:
            QueryError: when ``size`` is not from 1 to 10,000.
            BackendError: as ``search``; also when a shard does not answer.

        """
        _check(size)
        body = self._body(query, filter) | {"size": size}
        body["sort"] = [{"_score": "desc"}, {"_shard_doc": "asc"}]
        for answer in read_pages(self._connection, self._index, body, routing=self._routing):
            yield hits_in(answer, self._fields)

    def documents(self) -> Iterator[Document]:
        """Yield every document of the index, as title, text and metadata.

        Raises:
            BackendError: as ``search``; also when a shard does not answer.

        """
        fields, routing = self._fields, self._routing
        return read_documents(self._connection, self._index, fields=fields, routing=routing)

    def close(self) -> None:
        """Give up the connections."""
        self._connection.close()

    def _body(self, query: str, filter: Filter | None) -> dict[str, Any]:
        fields = self._fields
        match = fields.match(query) if self._template is None else self._template.fill(query)
        if filter is not None:
            wanted = filter.to_elasticsearch(fields.path)
            match = {"bool": {"must": [match], "filter": [wanted]}}
        return {"query": match, "_source": fields.read, "track_total_hits": False}


def _check(k: int) -> None:
    if not 1 <= k <= _WINDOW:
        raise QueryError(
            f"k: expected a number from 1 to {_WINDOW:,}, the most that a server gives at once, "
            f"found {k}; pages() goes deeper, documents() gives all"
        )
