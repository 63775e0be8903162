"""Metadata filters.

A small algebra, and its meaning as plain code, the reference for every retriever.

What a filter means, for all of them:

- A field is a key of a document's metadata; a key inside an object is reached by a dotted name,
  ``author.name``. A field with a list has every element as a value. Null, NaN and an empty list
  are no value.
- A filter on a field matches a document when one of the field's values does. Without the field
  it does not, so that ``Not(Equal("year", 2000))`` finds the documents without a year too.
- Values are compared with values of their own kind: strings with strings (by code point), true
  and false with themselves, numbers with numbers, whether integer or not. ``"2000"`` is not 2000,
  and true is not 1.

``twopass.retriever.filters.algebra.matches`` is this meaning as plain code;
``twopass.retriever.filters.json_syntax`` reads filters written as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any, TypeAlias

from twopass.retriever.errors import QueryError

__all__ = [
    "And",
    "Equal",
    "Exists",
    "Filter",
    "In",
    "Not",
    "Or",
    "Range",
    "Value",
    "field_values",
    "matches",
]


Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equal:
    """Documents whose field has this value (or a list that contains it)."""

    field: str
    value: Value

    def __post_init__(self) -> None:
        _check_field("Equal", self.field)
        _check_value("Equal", self.field, self.value)


@dataclass(frozen=True, slots=True)
class In:
    """Documents whose field has one of these values."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        _check_field("In", self.field)
        if not isinstance(self.values, tuple):
            raise QueryError(f"In({self.field!r}): expected a tuple, found {self.values!r:.80}")
        for value in self.values:
            _check_value("In", self.field, value)


@dataclass(frozen=True, slots=True)
class Range:
    """Documents whose field lies between the given bounds; numbers, or strings by code point."""

    field: str
    gt: float | str | None = None
    gte: float | str | None = None
    lt: float | str | None = None
    lte: float | str | None = None

    def __post_init__(self) -> None:
        _check_field("Range", self.field)
        bounds = [bound for bound in (self.gt, self.gte, self.lt, self.lte) if bound is not None]
        if not bounds:
            raise QueryError(f"Range({self.field!r}): expected a bound (gt, gte, lt or lte)")
        for bound in bounds:
            _check_value("Range", self.field, bound)
        if len({isinstance(bound, str) for bound in bounds}) > 1:
            raise QueryError(
                f"Range({self.field!r}): expected bounds of one kind, found {bounds!r:.80}"
            )
        if any(isinstance(bound, bool) for bound in bounds):
            raise QueryError(
                f"Range({self.field!r}): expected numbers or strings, found {bounds!r:.80}"
            )


@dataclass(frozen=True, slots=True)
class Exists:
    """Documents that have the field with a value other than null."""

    field: str

    def __post_init__(self) -> None:
        _check_field("Exists", self.field)


@dataclass(frozen=True, slots=True)
class And:
    """Documents that match every one of the filters."""

    filters: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_filters("And", self.filters)


@dataclass(frozen=True, slots=True)
class Or:
    """Documents that match at least one of the filters."""

    filters: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_filters("Or", self.filters)


@dataclass(frozen=True, slots=True)
class Not:
    """Documents that do not match the filter."""

    filter: Filter

    def __post_init__(self) -> None:
        _check_filters("Not", (self.filter,))


Filter: TypeAlias = Equal | In | Range | Exists | And | Or | Not


def _check_field(kind: str, field: Any) -> None:
    if not isinstance(field, str) or not field:
        raise QueryError(f"{kind}: expected the name of a field, found {field!r:.80}")


def _check_value(kind: str, field: str, value: Any) -> None:
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and isnan(value)):
        raise QueryError(
            f"{kind}({field!r}): expected a string, a number, true or false; found {value!r:.80}"
        )


def _check_filters(kind: str, filters: Any) -> None:
    if not isinstance(filters, tuple) or not all(
        isinstance(part, (Equal, In, Range, Exists, And, Or, Not)) for part in filters
    ):
        raise QueryError(f"{kind}: expected filters in a tuple, found {filters!r:.80}")


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
            found = {(_kind(value), value) for value in values.get(filter.field, ())}
            return any((_kind(wanted), wanted) in found for wanted in filter.values)
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
