"""Tables as corpora: CSV and TSV with a header line, and Parquet by pyarrow.

CSV is RFC 4180's: fields may be quoted and then hold line breaks. TSV is IANA's
text/tab-separated-values: no quoting, so a quotation mark is a character like any other.
"""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from twopass.retriever.corpus.lines import check_encoding, read_lines
from twopass.retriever.corpus.records import ErrorHandler, FieldNames, check_columns
from twopass.retriever.corpus.sources import Source
from twopass.retriever.errors import CorpusError

if TYPE_CHECKING:
    from _csv import Reader

__all__ = [
    "read_rows",
    "read_table",
]


# Ample for a document, small enough that a quotation mark left open does not eat all memory.
_MAX_FIELD = 1 << 26


def read_rows(
    source: Source, names: FieldNames, reject: ErrorHandler
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


def _numbered(
    reader: Reader, source: Source, reject: ErrorHandler
) -> Iterator[tuple[int, list[str]]]:
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


_BATCH = 1024


def read_table(
    source: Source, names: FieldNames, reject: ErrorHandler
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each row's number and its values by column name, as JSON has them.

    Dates and times come as ISO 8601 strings, decimals as floats, NaN as null.

    Raises:
        CorpusError: when pyarrow is not installed, or the file is not a table with the columns
            that are needed.

    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CorpusError(
            f"{source.name}: reading Parquet needs pyarrow: pip install 'twopass[parquet]'"
        ) from error
    if source.path is None:
        raise CorpusError("Parquet cannot be read from standard input: give a file")
    try:
        with pyarrow.parquet.ParquetFile(source.path) as table:
            _check_schema(table, source, names)
            yield from _rows(table, source, reject)
    except (OSError, pyarrow.ArrowException) as error:
        raise CorpusError(f"{source.name}: expected a Parquet file, found: {error}") from error


def _check_schema(table: Any, source: Source, names: FieldNames) -> None:
    try:
        check_columns(names, table.schema_arrow.names)
    except CorpusError as error:
        raise CorpusError(f"{source.name}: {error}") from error


def _rows(table: Any, source: Source, reject: ErrorHandler) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH):
        for row in _decode(batch):
            number += 1
            try:
                if isinstance(row, UnicodeDecodeError):
                    raise row
                values = {name: _json(value) for name, value in row.items()}
            except (UnicodeDecodeError, TypeError) as error:
                reject(CorpusError(f"{source.place(number)}: expected JSON values, found {error}"))
            else:
                yield number, values


def _decode(batch: Any) -> list[dict[str, Any] | UnicodeDecodeError]:
    try:
        rows: list[dict[str, Any] | UnicodeDecodeError] = batch.to_pylist()
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [error]
        return [_decode(batch.slice(index, 1))[0] for index in range(batch.num_rows)]
    return rows


def _json(value: Any) -> Any:
    match value:
        case None | str() | bool() | int():
            return value
        case float() | Decimal():
            return float(value) if math.isfinite(value) else None
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case list():
            return [_json(member) for member in value]
        case dict():
            return {name: _json(member) for name, member in value.items()}
        case _:
            raise TypeError(f"a {type(value).__name__}")
