"""Elasticsearch and OpenSearch, through their official clients."""

from __future__ import annotations

from retriever.elastic.connection import Connection, connect
from retriever.elastic.loading import LoadReport, load_documents
from retriever.elastic.reading import read_documents
from retriever.elastic.retriever import ElasticsearchRetriever

__all__ = [
    "Connection",
    "ElasticsearchRetriever",
    "LoadReport",
    "connect",
    "load_documents",
    "read_documents",
]
