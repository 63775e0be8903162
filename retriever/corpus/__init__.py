"""Documents in: streaming readers of the formats that corpora come in.

JSON Lines, CSV, TSV, Parquet and BEIR folders, plain or gzipped, from files, folders or
standard input. All of it is lazy: a corpus larger than memory is read in constant memory,
but for a few bytes an id that tell a duplicate.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.retriever.corpus.documents import Document
    from twopass.retriever.corpus.queries import read_qrels, read_queries
    from twopass.retriever.corpus.reader import read_documents
    from twopass.retriever.corpus.records import FieldNames, OnError, SkipReport
    from twopass.retriever.corpus.sources import BeirFolder, Format

_HOME = {
    "BeirFolder": "twopass.retriever.corpus.sources",
    "Document": "twopass.retriever.corpus.documents",
    "FieldNames": "twopass.retriever.corpus.records",
    "Format": "twopass.retriever.corpus.sources",
    "OnError": "twopass.retriever.corpus.records",
    "SkipReport": "twopass.retriever.corpus.records",
    "read_documents": "twopass.retriever.corpus.reader",
    "read_qrels": "twopass.retriever.corpus.queries",
    "read_queries": "twopass.retriever.corpus.queries",
}

__all__ = [
    "BeirFolder",
    "Document",
    "FieldNames",
    "Format",
    "OnError",
    "SkipReport",
    "read_documents",
    "read_qrels",
    "read_queries",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
