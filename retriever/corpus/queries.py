"""Queries and their judgements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from twopass.retriever.corpus.lines import check_encoding, parse_object, read_lines
from twopass.retriever.corpus.records import FieldNames, to_document
from twopass.retriever.corpus.sources import STDIN, PathLike, Source
from twopass.retriever.errors import CorpusError, DuplicateIdError

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
    """Read judgements, plain or gzipped.

    The first line tells the form: BEIR's header and tab-separated values, or TREC's four columns
    (query id, iteration, document id, relevance) between white space, without a header.

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
    lines: Iterator[tuple[int, str]] = enumerate(map(str.rstrip, read_lines(source)), 1)
    number, first = next(lines, (0, ""))
    header = first.split("\t") == _QRELS_HEADER
    if number and not header and len(first.split()) != 4:
        raise CorpusError(
            f"{source.place(number)}: expected the header {_QRELS_HEADER}, or TREC's four columns "
            f"(query id, iteration, document id, relevance), found {first!r:.200}"
        )
    if not header:
        lines = chain([(number, first)], lines)
    for number, line in lines:
        if header or line:
            yield number, _judgement(source.place(number), line, header)


def _judgement(place: str, line: str, beir: bool) -> list[str]:
    """Return query id, document id and relevance."""
    fields = line.split("\t") if beir else line.split()
    if len(fields) != (3 if beir else 4):
        form = "query-id, corpus-id and score with tabs" if beir else "four columns with spaces"
        raise CorpusError(f"{place}: expected {form} between them, found {fields!r:.200}")
    return fields if beir else [fields[0], *fields[2:]]
