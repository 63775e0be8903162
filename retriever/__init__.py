"""Candidates: query -> Hits.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retriever.analysis import available_analyzers, get_analyzer, register_analyzer
    from retriever.base import Retriever, RetrieverError
    from retriever.bm25.fields import FieldWeights
    from retriever.bm25.index import BM25Index
    from retriever.bm25.requests import SearchRequest
    from retriever.corpus import read_documents, read_qrels, read_queries
    from retriever.documents import Document
    from retriever.elastic import ElasticsearchRetriever, IndexFields
    from retriever.filter_json import parse_filter
    from retriever.filters import Filter
    from retriever.hits import Hits
    from retriever.rank_bm25 import RankBM25Retriever
    from retriever.scoring import BM25L, BM25Plus, Lucene, Okapi

_HOME = {
    "BM25Index": "retriever.bm25.index",
    "BM25L": "retriever.scoring",
    "BM25Plus": "retriever.scoring",
    "Document": "retriever.documents",
    "ElasticsearchRetriever": "retriever.elastic",
    "FieldWeights": "retriever.bm25.fields",
    "Filter": "retriever.filters",
    "Hits": "retriever.hits",
    "IndexFields": "retriever.elastic",
    "Lucene": "retriever.scoring",
    "Okapi": "retriever.scoring",
    "RankBM25Retriever": "retriever.rank_bm25",
    "Retriever": "retriever.base",
    "RetrieverError": "retriever.base",
    "SearchRequest": "retriever.bm25.requests",
    "available_analyzers": "retriever.analysis",
    "get_analyzer": "retriever.analysis",
    "parse_filter": "retriever.filter_json",
    "read_documents": "retriever.corpus",
    "read_qrels": "retriever.corpus",
    "read_queries": "retriever.corpus",
    "register_analyzer": "retriever.analysis",
}

__all__ = [
    "BM25L",
    "BM25Index",
    "BM25Plus",
    "Document",
    "ElasticsearchRetriever",
    "FieldWeights",
    "Filter",
    "Hits",
    "IndexFields",
    "Lucene",
    "Okapi",
    "RankBM25Retriever",
    "Retriever",
    "RetrieverError",
    "SearchRequest",
    "available_analyzers",
    "get_analyzer",
    "parse_filter",
    "read_documents",
    "read_qrels",
    "read_queries",
    "register_analyzer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
