"""Candidates: query -> Hits.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.retriever.analysis import available_analyzers, get_analyzer, register_analyzer
    from twopass.retriever.base import Retriever
    from twopass.retriever.corpus import read_documents, read_qrels, read_queries
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.elastic import ElasticsearchRetriever, IndexFields
    from twopass.retriever.errors import RetrieverError
    from twopass.retriever.filters import Filter, parse_filter
    from twopass.retriever.hits import Hits
    from twopass.retriever.index.fields import FieldWeights
    from twopass.retriever.index.index import BM25Index
    from twopass.retriever.index.requests import SearchRequest
    from twopass.retriever.rank_bm25 import RankBM25Retriever
    from twopass.retriever.scoring import BM25L, BM25Plus, Lucene, Okapi

_HOME = {
    "BM25Index": "twopass.retriever.index.index",
    "BM25L": "twopass.retriever.scoring",
    "BM25Plus": "twopass.retriever.scoring",
    "Document": "twopass.retriever.corpus.documents",
    "ElasticsearchRetriever": "twopass.retriever.elastic",
    "FieldWeights": "twopass.retriever.index.fields",
    "Filter": "twopass.retriever.filters",
    "Hits": "twopass.retriever.hits",
    "IndexFields": "twopass.retriever.elastic",
    "Lucene": "twopass.retriever.scoring",
    "Okapi": "twopass.retriever.scoring",
    "RankBM25Retriever": "twopass.retriever.rank_bm25",
    "Retriever": "twopass.retriever.base",
    "RetrieverError": "twopass.retriever.errors",
    "SearchRequest": "twopass.retriever.index.requests",
    "available_analyzers": "twopass.retriever.analysis",
    "get_analyzer": "twopass.retriever.analysis",
    "parse_filter": "twopass.retriever.filters",
    "read_documents": "twopass.retriever.corpus",
    "read_qrels": "twopass.retriever.corpus",
    "read_queries": "twopass.retriever.corpus",
    "register_analyzer": "twopass.retriever.analysis",
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
