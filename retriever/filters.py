"""Metadata filters: a small algebra that every retriever evaluates in its own way.

What a filter means, for all of them:

- A field is a key of a document's metadata; a key inside an object is reached by a dotted name,
  ``author.name``. A field with a list has every element as a value. Null, NaN and an empty list
  are no value.
- A filter on a field matches a document when one of the field's values does. Without the field
  it does not, so that ``Not(Equal("year", 2000))`` finds the documents without a year too.
- Values are compared with values of their own kind: strings with strings (by code point), true
  and false with themselves, numbers with numbers, whether integer or not. ``"2000"`` is not 2000,
  and true is not 1.

``retriever.matching.matches`` is this meaning as plain code; ``retriever.filter_json`` reads
filters written as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any, TypeAlias

from retriever.base import QueryError

__all__ = ["And", "Equal", "Exists", "Filter", "In", "Not", "Or", "Range", "Value"]

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
