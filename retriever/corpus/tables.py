"""CSV and TSV with a header line.

CSV is RFC 4180's: fields may be quoted and then hold line breaks. TSV is IANA's
text/tab-separated-values: no quoting, so a quotation mark is a character like any other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from retriever.base import CorpusError
from retriever.corpus.fields import FieldNames, check_columns
from retriever.corpus.rejects import Reject
from retriever.corpus.sources import Source
from retriever.corpus.text import check_encoding, read_lines

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["read_rows"]

# Ample for a document, small enough that a quotation mark left open does not eat all memory.
_MAX_FIELD = 1 << 26


def read_rows(
    source: Source, names: FieldNames, reject: Reject
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the number of each row's first line and its cells by column name.

    Raises:
        CorpusError: when the header lacks a column that is needed.

    """
    rows = _numbered(_reader(source), source, reject)
    header = next(rows, None)
    if header is None:
        return
    number, columns = header
    _check_header(source.place(number), columns, names)
    for number, cells in rows:
        if len(cells) == len(columns):
            yield number, dict(zip(columns, cells, strict=True))
        else:
            reject(_wrong_width(source.place(number), columns, cells))


def _reader(source: Source) -> Reader:
    # The limit is the csv module's own, one for the process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
    lines = read_lines(source)
    if source.format == "tsv":
        return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, strict=True)


def _numbered(reader: Reader, source: Source, reject: Reject) -> Iterator[tuple[int, list[str]]]:
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reject(CorpusError(f"{source.place(number)}: {error}"))
            continue
        if problem := _bad_cell(cells):
            reject(CorpusError(f"{source.place(number)}: {problem}"))
        elif cells:
            yield number, cells


def _bad_cell(cells: list[str]) -> CorpusError | None:
    try:
        for cell in cells:
            check_encoding(cell)
    except CorpusError as error:
        return error
    return None


def _check_header(place: str, columns: list[str], names: FieldNames) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise CorpusError(f"{place}: expected different column names, found {twice[0]!r} twice")
    try:
        check_columns(names, columns)
    except CorpusError as error:
        raise CorpusError(f"{place}, the header: {error}") from error


def _wrong_width(place: str, columns: list[str], cells: list[str]) -> CorpusError:
    return CorpusError(
        f"{place}: expected {len(columns)} columns as in the header, found {len(cells)}"
    )
