"""Elasticsearch and OpenSearch, through their official clients."""

from __future__ import annotations

from retriever.elastic.answers import Found
from retriever.elastic.connection import Connection, connect
from retriever.elastic.fields import IndexFields
from retriever.elastic.loading import LoadReport, load_documents
from retriever.elastic.publishing import Published, publish_documents
from retriever.elastic.reading import read_documents
from retriever.elastic.retriever import ElasticsearchRetriever
from retriever.elastic.template import QueryTemplate

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
