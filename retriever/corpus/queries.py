"""Queries and their judgements."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from retriever.base import CorpusError, DuplicateIdError
from retriever.corpus.fields import FieldNames, to_document
from retriever.corpus.jsonl import parse_object
from retriever.corpus.sources import STDIN, PathLike, Source
from retriever.corpus.text import check_encoding, read_lines

__all__ = ["read_qrels", "read_queries"]

_Parser: TypeAlias = Callable[[int, str], tuple[str, str]]

_QRELS_HEADER = ["query-id", "corpus-id", "score"]


def read_queries(path: PathLike) -> dict[str, str]:
    """Read queries: text by id, in the file's order.

    The first line tells the form: JSON Lines as in BEIR (``_id``, ``text``); an id, a tab and a
    text (no header); or a text alone, whose id is its line number. Plain or gzipped.

    Args:
        path: a file, or "-" for standard input.

    Raises:
        CorpusError: when the file cannot be read, a line is bad, or there is no query.
        DuplicateIdError: when an id comes twice.

    """
    source = Source(None if os.fspath(path) == STDIN else Path(path), "jsonl")
    lines = enumerate(map(str.rstrip, read_lines(source)), 1)
    queries: dict[str, str] = {}
    parse: _Parser | None = None
    for number, line in ((number, line) for number, line in lines if line):
        try:
            check_encoding(line)
            parse = parse or _parser(line)
            id, text = parse(number, line)
        except CorpusError as error:
            raise CorpusError(f"{source.place(number)}: {error}") from error
        if id in queries:
            raise DuplicateIdError(f"{source.place(number)}: the query id {id!r} came before")
        queries[id] = text
    if not queries:
        raise CorpusError(f"{source.name}: expected queries, found none")
    return queries


def _parser(line: str) -> _Parser:
    if line.startswith("{"):
        return _from_json
    return _from_tsv if "\t" in line else lambda number, line: (str(number), line)


def _from_json(_: int, line: str) -> tuple[str, str]:
    query = to_document(parse_object(line), FieldNames())
    return query.id, query.text


def _from_tsv(_: int, line: str) -> tuple[str, str]:
    id, tab, text = line.partition("\t")
    if not (id and tab):
        raise CorpusError(f"expected an id, a tab and a query, found {line!r:.80}")
    return id, text


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
