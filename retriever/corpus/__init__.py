"""Documents in: streaming readers of the formats that corpora come in.

JSON Lines, CSV, TSV, Parquet and BEIR folders, plain or gzipped, from files, folders or
standard input. All of it is lazy: a corpus larger than memory is read in constant memory,
but for a few bytes an id that tell a duplicate.
"""

from __future__ import annotations

from retriever.corpus.beir import BeirFolder
from retriever.corpus.fields import FieldNames
from retriever.corpus.queries import read_qrels, read_queries
from retriever.corpus.reading import read_documents
from retriever.corpus.rejects import OnError, SkipReport
from retriever.corpus.sources import Format

__all__ = [
    "BeirFolder",
    "FieldNames",
    "Format",
    "OnError",
    "SkipReport",
    "read_documents",
    "read_qrels",
    "read_queries",
]
