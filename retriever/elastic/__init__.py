"""Elasticsearch and OpenSearch, through their official clients."""

from __future__ import annotations

from twopass.retriever.elastic.connection import Connection, connect
from twopass.retriever.elastic.publication import Published, publish_documents
from twopass.retriever.elastic.queries import IndexFields, QueryTemplate
from twopass.retriever.elastic.retriever import ElasticsearchRetriever
from twopass.retriever.elastic.scan import read_documents
from twopass.retriever.elastic.search import Found
from twopass.retriever.elastic.upload import LoadReport, load_documents

__all__ = [
    "Connection",
    "ElasticsearchRetriever",
    "Found",
    "IndexFields",
    "LoadReport",
    "Published",
    "QueryTemplate",
    "connect",
    "load_documents",
    "publish_documents",
    "read_documents",
]
