"""What all filters share: the contract, their names in JSON, and the values of a field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from math import isnan
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.errors import QueryError

__all__ = [
    "Column",
    "Columns",
    "FieldFilter",
    "Filter",
    "Value",
    "check_fields",
    "check_value",
    "field_values",
    "filter_type",
    "matches",
    "one_field",
    "parse_filter",
    "parse_part",
]


Value: TypeAlias = str | int | float | bool


class Column(Protocol):
    """In an index: the values of one kind of one field, and the documents that have them."""

    docs: NDArray[np.int32]

    def equal(self, value: Value) -> NDArray[np.int32]:
        """Return the documents that have this value."""
        ...

    def between(
        self,
        gt: Value | None = None,
        gte: Value | None = None,
        lt: Value | None = None,
        lte: Value | None = None,
    ) -> NDArray[np.int32]:
        """Return the documents that have a value between the bounds that are given."""
        ...

    def equal_any(self, values: Sequence[Value]) -> Iterator[NDArray[np.int32]]:
        """Yield the documents of each of these values that a document has."""
        ...

    def where(self, accepts: Callable[[Any], bool]) -> NDArray[np.int32]:
        """Return the documents that have an accepted value; calls it once for each value."""
        ...


class Columns(Protocol):
    """The columns of an index, or of a part of it."""

    def of(self, field: str, like: Value | None = None) -> Sequence[Column]:
        """Return the columns of a field: all of them, or those comparable with a value."""
        ...

    def comparable(
        self, field: str, values: Iterable[Value]
    ) -> Iterator[tuple[Column, list[Value]]]:
        """Yield each column of a field that is comparable with some of the values, with those."""
        ...


class Filter(ABC):
    """One kind of filter; instances are frozen values.

    A filter on the values of one field is simpler to write as a ``FieldFilter``.
    """

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, body: Any, place: str) -> Self:
        """Read what stands under the filter's name in JSON.

        Raises:
            QueryError: when it cannot be understood; ``place`` says where it stands.

        """

    @staticmethod
    def parts(body: Any) -> Sequence[Any]:
        """Return the filters, not yet read, that lie in what stands under the name in JSON."""
        del body
        return ()

    @abstractmethod
    def fields(self) -> Iterator[str]:
        """Yield the names of all fields that the filter reads."""

    @abstractmethod
    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether a document with these values, by field, matches."""

    @abstractmethod
    def mask(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """Return (n,) bool: which of n documents match."""

    @abstractmethod
    def to_elasticsearch(self, path: Callable[[str], str]) -> dict[str, Any]:
        """Return the query that finds the same on a search server.

        A field's kind there is that of its first value; the server reads a value of another kind
        as that kind where it can, so that ``"2000"`` finds 2000. And an object exists there when
        something in it does.

        Args:
            path: from a field's name in the filter to its name on the server.

        """


class FieldFilter(Filter):
    """A filter on one field: a document matches when one of the field's values is accepted."""

    __slots__ = ()

    field: str

    def __post_init__(self) -> None:
        if not isinstance(self.field, str) or not self.field:
            raise QueryError(
                f"{type(self).__name__}: expected the name of a field, found {self.field!r:.80}"
            )
        self.check()

    def check(self) -> None:
        """Check what else the filter has; raises QueryError."""

    @abstractmethod
    def accepts(self, value: Value) -> bool:
        """Say whether this value makes a document match."""

    def documents(self, columns: Columns) -> Iterator[NDArray[np.int32]]:
        """Yield the documents that match, in parts; without a look-up, tests all values."""
        for column in columns.of(self.field):
            yield column.where(self.accepts)

    def fields(self) -> Iterator[str]:
        """Yield the field."""
        yield self.field

    def matches(self, values: Mapping[str, Sequence[Value]]) -> bool:
        """Say whether one of the field's values is accepted."""
        return any(self.accepts(value) for value in values.get(self.field, ()))

    def mask(self, columns: Columns, n: int) -> NDArray[np.bool_]:
        """Return (n,) bool: which of n documents match."""
        mask = np.zeros(n, np.bool_)
        for docs in self.documents(columns):
            mask[docs] = True
        return mask


F = TypeVar("F", bound=type[Filter])

_TYPES: dict[str, type[Filter]] = {}
_DEEPEST = 50
_MOST_FILTERS = 1_024  # as Elasticsearch's max_clause_count


def filter_type(name: str) -> Callable[[F], F]:
    """Register a class of filters under its name in JSON; a decorator."""

    def register(kind: F) -> F:
        _TYPES[name] = kind
        return kind

    return register


def parse_filter(spec: Any, place: str = "filter") -> Filter:
    """Read a filter from JSON values, in the style of Elasticsearch's query DSL.

    ::

        {"term": {"lang": "en"}}            {"and": [FILTER, ...]}
        {"terms": {"lang": ["en", "de"]}}   {"or": [FILTER, ...]}
        {"range": {"year": {"gte": 2000}}}  {"not": FILTER}
        {"exists": {"field": "year"}}

    Args:
        spec: an object with one key.
        place: how to call where it stands, in messages.

    Raises:
        QueryError: naming the place inside ``spec`` that cannot be understood; or when there are
            more than 1,024 filters in all, more than 65,536 values in one, or more than 50 one
            inside another.

    """
    if _has_too_many(spec):
        raise QueryError(f"{place}: expected at most {_MOST_FILTERS} filters in all, found more")
    try:
        return parse_part(spec, place)
    except RecursionError as error:  # of a value that is to be shown in a message
        raise QueryError(f"{place}: expected values, found some nested too deeply") from error


def _has_too_many(spec: Any) -> bool:
    """Count filters without reading them, as deep as they may lie."""
    level, count = [spec], 1
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _parts(each)]
        count += len(level)
        if count > _MOST_FILTERS:
            return True
    return False


def _parts(spec: Any) -> Sequence[Any]:
    if not isinstance(spec, Mapping) or len(spec) != 1:
        return ()  # no filter, which is found out later
    ((name, body),) = spec.items()
    return _TYPES[name].parts(body) if name in _TYPES else ()


def parse_part(spec: Any, place: str) -> Filter:
    """Read a filter inside another; else as ``parse_filter``."""
    if place.count(".") > _DEEPEST:
        raise QueryError(f"{place:.40}...: expected filters at most {_DEEPEST} deep")
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise QueryError(
            f"{place}: expected an object with one key of {', '.join(_TYPES)}; found {spec!r:.80}"
        )
    ((name, body),) = spec.items()
    if name not in _TYPES:
        raise QueryError(f"{place}: expected one of {', '.join(_TYPES)}; found {name!r:.80}")
    inside = f"{place}.{name}"
    try:
        return _TYPES[name].parse(body, inside)
    except QueryError as error:
        if str(error).startswith(place):
            raise
        raise QueryError(f"{inside}: {error}") from error


def one_field(body: Any, place: str) -> tuple[str, Any]:
    """Return the key and value of a JSON object that has one key.

    Raises:
        QueryError: when it is something else.

    """
    if not isinstance(body, Mapping) or len(body) != 1:
        raise QueryError(f"{place}: expected an object with one field, found {body!r:.80}")
    ((field, value),) = body.items()
    return field, value


def check_value(kind: str, field: str, value: Any) -> None:
    """Check that a value can be compared with those of documents.

    Raises:
        QueryError: when it is no string, number, true or false.

    """
    if not isinstance(value, (str, int, float)) or (isinstance(value, float) and isnan(value)):
        raise QueryError(
            f"{kind}({field!r}): expected a string, a number, true or false; found {value!r:.80}"
        )


_LONGEST = 100  # characters of a name that is compared with all others for its likes


def check_fields(filter: Filter, known: Collection[str]) -> None:
    """Refuse a filter on a field that no document has.

    Raises:
        QueryError: naming the field, and those that are spelled nearly so.

    """
    for field in filter.fields():
        if field in known:
            continue
        like = get_close_matches(field, known) if len(field) <= _LONGEST else []
        near = like or sorted(known)[:10]
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "there are no fields"
        raise QueryError(f"filter: no document has a field {field!r:.80}; {hint}")


def matches(filter: Filter, metadata: Mapping[str, Any]) -> bool:
    """Say whether a document with this metadata matches: the reference for every retriever."""
    values: dict[str, list[Value]] = {}
    for field, value in field_values(metadata):
        values.setdefault(field, []).append(value)
    return filter.matches(values)


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
