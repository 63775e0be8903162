"""The meaning of metadata filters as plain code: the reference for every retriever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isnan
from typing import Any

from retriever.filters import And, Equal, Exists, Filter, In, Not, Or, Range, Value

__all__ = ["field_values", "matches"]


def matches(filter: Filter, metadata: Mapping[str, Any]) -> bool:
    """Say whether a document with this metadata matches."""
    values: dict[str, list[Value]] = {}
    for field, value in field_values(metadata):
        values.setdefault(field, []).append(value)
    return _matches(filter, values)


def _matches(filter: Filter, values: Mapping[str, list[Value]]) -> bool:
    match filter:
        case And():
            return all(_matches(part, values) for part in filter.filters)
        case Or():
            return any(_matches(part, values) for part in filter.filters)
        case Not():
            return not _matches(filter.filter, values)
        case Equal():
            return any(_same(value, filter.value) for value in values.get(filter.field, ()))
        case In():
            found = values.get(filter.field, ())
            return any(_same(value, wanted) for value in found for wanted in filter.values)
        case Range():
            return any(_between(value, filter) for value in values.get(filter.field, ()))
        case Exists():
            return filter.field in values


def field_values(metadata: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Yield the fields of a document's metadata with their values, one pair for each value."""
    for key, item in metadata.items():
        field = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from field_values(item, f"{field}.")
            continue
        for value in item if isinstance(item, (list, tuple)) else (item,):
            if isinstance(value, Mapping):
                yield from field_values(value, f"{field}.")
            elif (plain := _plain(value)) is not None:
                yield field, plain


def _plain(value: Any) -> Value | None:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        # An index keeps 64 bits of an integer; a larger one is a double everywhere.
        return value if -(2**63) <= value < 2**63 else _double(value)
    if isinstance(value, float):
        return None if isnan(value) else value
    return None


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "bool"
    return "str" if isinstance(value, str) else "number"


def _same(value: Value, wanted: Value) -> bool:
    return _kind(value) == _kind(wanted) and value == wanted


def _between(value: Value, bounds: Range) -> bool:
    tests: tuple[tuple[Any, Callable[[Any, Any], bool]], ...] = (
        (bounds.gt, lambda found, bound: found > bound),
        (bounds.gte, lambda found, bound: found >= bound),
        (bounds.lt, lambda found, bound: found < bound),
        (bounds.lte, lambda found, bound: found <= bound),
    )
    given = [(bound, test) for bound, test in tests if bound is not None]
    return all(_kind(value) == _kind(bound) and test(value, bound) for bound, test in given)
