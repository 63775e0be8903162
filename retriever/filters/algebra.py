"""The filters that come with the package: on one field, and all, one or none of several."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.errors import QueryError
from twopass.retriever.filters.base import (
    Columns,
    FieldFilter,
    Filter,
    Value,
    check_value,
    filter_type,
    one_field,
    parse_part,
)

__all__ = [
    "And",
    "Equal",
    "Exists",
    "In",
    "Not",
    "Or",
    "Range",
]

_MOST_VALUES = 65_536  # as Elasticsearch's max_terms_count


@filter_type("term")
@dataclass(frozen=True, slots=True)
class Equal(FieldFilter):
    """Documents whose field has this value (or a list that contains it)."""

    field: str
    value: Value

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read ``{"lang": "en"}``."""
        return cls(*one_field(body, place))

    def check(self) -> None:
        """Check the value."""
        check_value("Equal", self.field, self.value)

    def accepts(self, value: Value) -> bool:
        """Say whether it is this value."""
        return _same(value, self.value)

    def documents(self, columns: Columns) -> Iterator[NDArray[np.int32]]:
        """Look the value up."""
        return (column.equal(self.value) for column in columns.of(self.field, self.value))

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a term query."""
        return {"term": {path(self.field): {"value": self.value}}}


@filter_type("terms")
@dataclass(frozen=True, slots=True)
class In(FieldFilter):
    """Documents whose field has one of these values."""

    field: str
    values: tuple[Value, ...]

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read ``{"lang": ["en", "de"]}``."""
        field, values = one_field(body, place)
        if not isinstance(values, (list, tuple)):
            raise QueryError(f"{place}.{field}: expected a list of values, found {values!r:.80}")
        if len(values) > _MOST_VALUES:
            raise QueryError(
                f"{place}: expected at most {_MOST_VALUES} values, found {len(values)}"
            )
        return cls(field, tuple(values))

    def check(self) -> None:
        """Check the values."""
        if not isinstance(self.values, tuple):
            raise QueryError(f"In({self.field!r}): expected a tuple, found {self.values!r:.80}")
        for value in self.values:
            check_value("In", self.field, value)

    def accepts(self, value: Value) -> bool:
        """Say whether it is one of these values."""
        return any(_same(value, wanted) for wanted in self.values)

    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether one of the field's values is one of these, in linear time."""
        found = {(_kind(value), value) for value in values.get(self.field, ())}
        return any((_kind(wanted), wanted) in found for wanted in self.values)

    def documents(self, columns: Columns) -> Iterator[NDArray[np.int32]]:
        """Look the values up."""
        for column, values in columns.comparable(self.field, self.values):
            yield from column.equal_any(values)

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a terms query."""
        return {"terms": {path(self.field): list(self.values)}}


@filter_type("range")
@dataclass(frozen=True, slots=True)
class Range(FieldFilter):
    """Documents whose field lies between the given bounds; numbers, or strings by code point."""

    field: str
    gt: float | str | None = None
    gte: float | str | None = None
    lt: float | str | None = None
    lte: float | str | None = None

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read ``{"year": {"gte": 2000}}``."""
        field, bounds = one_field(body, place)
        if not isinstance(bounds, Mapping) or not bounds.keys() <= _COMPARISONS.keys():
            raise QueryError(
                f"{place}.{field}: expected an object of gt, gte, lt, lte; found {bounds!r:.80}"
            )
        return cls(field, **bounds)

    @property
    def bounds(self) -> dict[str, float | str]:
        """The bounds that are given, by their names."""
        named = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: bound for name, bound in named.items() if bound is not None}

    def check(self) -> None:
        """Check the bounds."""
        bounds = list(self.bounds.values())
        if not bounds:
            raise QueryError(f"Range({self.field!r}): expected a bound (gt, gte, lt or lte)")
        for bound in bounds:
            check_value("Range", self.field, bound)
        if len({isinstance(bound, str) for bound in bounds}) > 1:
            raise QueryError(
                f"Range({self.field!r}): expected bounds of one kind, found {bounds!r:.80}"
            )
        if any(isinstance(bound, bool) for bound in bounds):
            raise QueryError(
                f"Range({self.field!r}): expected numbers or strings, found {bounds!r:.80}"
            )

    def accepts(self, value: Value) -> bool:
        """Say whether it lies between the bounds."""
        return all(
            _kind(value) == _kind(bound) and _COMPARISONS[name](value, bound)
            for name, bound in self.bounds.items()
        )

    def documents(self, columns: Columns) -> Iterator[NDArray[np.int32]]:
        """Look the bounds up."""
        bounds = self.bounds
        like = next(iter(bounds.values()))
        return (column.between(**bounds) for column in columns.of(self.field, like))

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a range query."""
        return {"range": {path(self.field): self.bounds}}


@filter_type("exists")
@dataclass(frozen=True, slots=True)
class Exists(FieldFilter):
    """Documents that have the field with a value other than null."""

    field: str

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read ``{"field": "year"}``."""
        key, field = one_field(body, place)
        if key != "field":
            raise QueryError(f'{place}: expected {{"field": NAME}}, found {body!r:.80}')
        return cls(field)

    def accepts(self, value: Value) -> bool:
        """Accept any value."""
        del value
        return True

    def documents(self, columns: Columns) -> Iterator[NDArray[np.int32]]:
        """Take all documents of the field."""
        return (column.docs for column in columns.of(self.field))

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return an exists query."""
        return {"exists": {"field": path(self.field)}}


@dataclass(frozen=True, slots=True)
class _Several(Filter):
    """A filter made of filters."""

    filters: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_filters(type(self).__name__, self.filters)

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read a list of filters."""
        if not isinstance(body, (list, tuple)):
            raise QueryError(f"{place}: expected a list of filters, found {body!r:.80}")
        return cls(tuple(parse_part(part, f"{place}[{i}]") for i, part in enumerate(body)))

    @staticmethod
    def parts(body: Any) -> Sequence[Any]:
        """Return the members of the list."""
        return body if isinstance(body, (list, tuple)) else ()

    def fields(self) -> Iterator[str]:
        """Yield the fields of all parts."""
        return chain.from_iterable(part.fields() for part in self.filters)


@filter_type("and")
class And(_Several):
    """Documents that match every one of the filters."""

    __slots__ = ()

    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether all parts match."""
        return all(part.matches(values) for part in self.filters)

    def mask(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """Return (n,) bool: which of n documents match."""
        mask = np.ones(n, np.bool_)
        for part in self.filters:
            mask &= part.mask(columns, n)
        return mask

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a query with a filter for each part."""
        return {"bool": {"filter": [part.to_elasticsearch(path) for part in self.filters]}}


@filter_type("or")
class Or(_Several):
    """Documents that match at least one of the filters."""

    __slots__ = ()

    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether any part matches."""
        return any(part.matches(values) for part in self.filters)

    def mask(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """Return (n,) bool: which of n documents match."""
        mask = np.zeros(n, np.bool_)
        for part in self.filters:
            mask |= part.mask(columns, n)
        return mask

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a query of which one part must match."""
        if not self.filters:
            return {"match_none": {}}
        parts = [part.to_elasticsearch(path) for part in self.filters]
        return {"bool": {"should": parts, "minimum_should_match": 1}}


@filter_type("not")
@dataclass(frozen=True, slots=True)
class Not(Filter):
    """Documents that do not match the filter."""

    filter: Filter

    def __post_init__(self) -> None:
        _check_filters("Not", (self.filter,))

    @classmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read the filter."""
        return cls(parse_part(body, place))

    @staticmethod
    def parts(body: Any) -> Sequence[Any]:
        """Return the filter."""
        return (body,)

    def fields(self) -> Iterator[str]:
        """Yield the fields of the filter."""
        return self.filter.fields()

    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether the filter does not match."""
        return not self.filter.matches(values)

    def mask(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """Return (n,) bool: which of n documents match."""
        return ~self.filter.mask(columns, n)

    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return a query that the filter must not match."""
        return {"bool": {"must_not": [self.filter.to_elasticsearch(path)]}}


def _check_filters(kind: str, filters: Any) -> None:
    if not isinstance(filters, tuple) or not all(isinstance(part, Filter) for part in filters):
        raise QueryError(f"{kind}: expected filters in a tuple, found {filters!r:.80}")


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "bool"
    return "str" if isinstance(value, str) else "number"


def _same(value: Value, wanted: Value) -> bool:
    return _kind(value) == _kind(wanted) and value == wanted
