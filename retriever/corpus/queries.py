"""Queries and their judgements, as BEIR keeps them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from retriever.base import CorpusError, DuplicateIdError
from retriever.corpus.fields import FieldNames, to_document
from retriever.corpus.jsonl import read_objects
from retriever.corpus.rejects import stop
from retriever.corpus.sources import PathLike, Source
from retriever.corpus.text import read_lines

__all__ = ["read_qrels", "read_queries"]

_QRELS_HEADER = ["query-id", "corpus-id", "score"]


def read_queries(path: PathLike) -> dict[str, str]:
    """Read queries from JSON Lines (``_id``, ``text``), plain or gzipped: text by id, in order.

    Raises:
        CorpusError: when the file cannot be read, a line is bad, or there is no query.
        DuplicateIdError: when an id comes twice.

    """
    source = Source(Path(path), "jsonl")
    queries: dict[str, str] = {}
    for number, record in read_objects(source, stop):
        try:
            query = to_document(record, FieldNames())
        except CorpusError as error:
            raise CorpusError(f"{source.place(number)}: {error}") from error
        if query.id in queries:
            raise DuplicateIdError(f"{source.place(number)}: the query id {query.id!r} came before")
        queries[query.id] = query.text
    if not queries:
        raise CorpusError(f"{source.name}: expected queries, found none")
    return queries


def read_qrels(path: PathLike) -> dict[str, dict[str, int]]:
    """Read judgements from a TSV file with BEIR's header, plain or gzipped.

    Returns:
        The relevance (0 and below: judged, not relevant) by document id by query id, in order.

    Raises:
        CorpusError: when the file cannot be read, a line is bad, or there is no judgement.
        DuplicateIdError: when a document is judged twice for a query.

    """
    source = Source(Path(path), "tsv")
    qrels: dict[str, dict[str, int]] = {}
    for number, (query, document, score) in _judgements(source):
        judged = qrels.setdefault(query, {})
        if document in judged:
            raise DuplicateIdError(
                f"{source.place(number)}: {document!r} was judged before for query {query!r}"
            )
        try:
            judged[document] = int(score)
        except ValueError as error:
            raise CorpusError(
                f"{source.place(number)}: expected a whole number as score, found {score!r}"
            ) from error
    if not qrels:
        raise CorpusError(f"{source.name}: expected judgements, found none")
    return qrels


def _judgements(source: Source) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(read_lines(source), delimiter="\t", quoting=csv.QUOTE_NONE)
    for number, row in enumerate(rows, 1):
        if number == 1 and row != _QRELS_HEADER:
            raise CorpusError(
                f"{source.place(1)}: expected the header {_QRELS_HEADER}, found {row!r:.200}"
            )
        if len(row) != 3:
            raise CorpusError(
                f"{source.place(number)}: expected query-id, corpus-id and score with tabs "
                f"between them, found {row!r:.200}"
            )
        if number > 1:
            yield number, row
