"""Metadata filters over a segment: filter -> the documents that match, before any scoring."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from retriever.base import QueryError
from retriever.bm25.columns import Columns
from retriever.filters import And, Equal, Exists, Filter, In, Not, Or, Range

__all__ = ["check_fields", "filter_mask"]


def filter_mask(filter: Filter, columns: Columns, n: int) -> NDArray[np.bool_]:
    """Return (n,) bool: which of a segment's n documents match."""
    match filter:
        case And():
            return _all((filter_mask(part, columns, n) for part in filter.filters), n)
        case Or():
            return ~_all((~filter_mask(part, columns, n) for part in filter.filters), n)
        case Not():
            return ~filter_mask(filter.filter, columns, n)
    mask = np.zeros(n, np.bool_)
    for docs in _documents(filter, columns):
        mask[docs] = True
    return mask


def _all(masks: Iterable[NDArray[np.bool_]], n: int) -> NDArray[np.bool_]:
    result = np.ones(n, np.bool_)
    for mask in masks:
        result &= mask
    return result


def _documents(
    filter: Equal | In | Range | Exists, columns: Columns
) -> Iterator[NDArray[np.int32]]:
    match filter:
        case Equal():
            for column in columns.of(filter.field, filter.value):
                yield column.equal(filter.value)
        case In():
            for value in filter.values:
                for column in columns.of(filter.field, value):
                    yield column.equal(value)
        case Range():
            bounds = (filter.gt, filter.gte, filter.lt, filter.lte)
            like = next(bound for bound in bounds if bound is not None)
            for column in columns.of(filter.field, like):
                yield column.between(*bounds)
        case Exists():
            for column in columns.of(filter.field):
                yield column.docs


def check_fields(filter: Filter, known: Collection[str]) -> None:
    """Refuse a filter on a field that no document has.

    Raises:
        QueryError: naming the field, and those that are spelled nearly so.

    """
    for field in _fields(filter):
        if field in known:
            continue
        near = get_close_matches(field, known) or sorted(known)[:10]
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "there are no fields"
        raise QueryError(f"filter: no document has a field {field!r}; {hint}")


def _fields(filter: Filter) -> Iterator[str]:
    match filter:
        case And() | Or():
            for part in filter.filters:
                yield from _fields(part)
        case Not():
            yield from _fields(filter.filter)
        case _:
            yield filter.field
