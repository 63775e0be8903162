"""Parquet, by pyarrow (the extra ``parquet``)."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from retriever.base import CorpusError
from retriever.corpus.fields import FieldNames, check_columns
from retriever.corpus.rejects import Reject
from retriever.corpus.sources import Source

__all__ = ["read_table"]

_BATCH = 1024


def read_table(
    source: Source, names: FieldNames, reject: Reject
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


def _rows(table: Any, source: Source, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
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
