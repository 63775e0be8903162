"""Filters written as JSON, in the style of Elasticsearch's query DSL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twopass.retriever.errors import QueryError
from twopass.retriever.filters.algebra import And, Equal, Exists, Filter, In, Not, Or, Range

__all__ = ["parse_filter"]

_DEEPEST = 50
_MOST_FILTERS = 1_024  # as Elasticsearch's max_clause_count
_MOST_VALUES = 65_536  # as Elasticsearch's max_terms_count


def parse_filter(spec: Any, place: str = "filter") -> Filter:
    """Read a filter from JSON values.

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
        return _parse(spec, place)
    except RecursionError as error:  # of a value that is to be shown in a message
        raise QueryError(f"{place}: expected values, found some nested too deeply") from error


def _has_too_many(spec: Any) -> bool:
    """Count filters without reading them, as deep as they may lie."""
    level, count = [spec], 1
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inner(each)]
        count += len(level)
        if count > _MOST_FILTERS:
            return True
    return False


def _inner(spec: Any) -> Sequence[Any]:
    if not isinstance(spec, Mapping) or len(spec) != 1:
        return ()  # no filter, which is found out later
    ((name, body),) = spec.items()
    if name == "not":
        return (body,)
    return body if name in ("and", "or") and isinstance(body, (list, tuple)) else ()


def _parse(spec: Any, place: str) -> Filter:
    if place.count(".") > _DEEPEST:
        raise QueryError(f"{place:.40}...: expected filters at most {_DEEPEST} deep")
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise QueryError(
            f"{place}: expected an object with one key of {', '.join(_PARSERS)}; found {spec!r:.80}"
        )
    ((name, body),) = spec.items()
    if name not in _PARSERS:
        raise QueryError(f"{place}: expected one of {', '.join(_PARSERS)}; found {name!r:.80}")
    inside = f"{place}.{name}"
    try:
        return _PARSERS[name](body, inside)
    except QueryError as error:
        if str(error).startswith(place):
            raise
        raise QueryError(f"{inside}: {error}") from error


def _parse_term(body: Any, place: str) -> Filter:
    field, value = _one_field(body, place)
    return Equal(field, value)


def _parse_terms(body: Any, place: str) -> Filter:
    field, values = _one_field(body, place)
    if not isinstance(values, (list, tuple)):
        raise QueryError(f"{place}.{field}: expected a list of values, found {values!r:.80}")
    if len(values) > _MOST_VALUES:
        raise QueryError(f"{place}: expected at most {_MOST_VALUES} values, found {len(values)}")
    return In(field, tuple(values))


def _parse_range(body: Any, place: str) -> Filter:
    field, bounds = _one_field(body, place)
    if not isinstance(bounds, Mapping) or not bounds.keys() <= {"gt", "gte", "lt", "lte"}:
        raise QueryError(
            f"{place}.{field}: expected an object of gt, gte, lt, lte; found {bounds!r:.80}"
        )
    return Range(field, **bounds)


def _parse_exists(body: Any, place: str) -> Filter:
    key, field = _one_field(body, place)
    if key != "field":
        raise QueryError(f'{place}: expected {{"field": NAME}}, found {body!r:.80}')
    return Exists(field)


def _parse_list(kind: type[And | Or]) -> Callable[[Any, str], Filter]:
    def parse(body: Any, place: str) -> Filter:
        if not isinstance(body, (list, tuple)):
            raise QueryError(f"{place}: expected a list of filters, found {body!r:.80}")
        return kind(tuple(_parse(part, f"{place}[{i}]") for i, part in enumerate(body)))

    return parse


def _parse_not(body: Any, place: str) -> Filter:
    return Not(_parse(body, place))


_PARSERS: dict[str, Callable[[Any, str], Filter]] = {
    "term": _parse_term,
    "terms": _parse_terms,
    "range": _parse_range,
    "exists": _parse_exists,
    "and": _parse_list(And),
    "or": _parse_list(Or),
    "not": _parse_not,
}


def _one_field(body: Any, place: str) -> tuple[str, Any]:
    if not isinstance(body, Mapping) or len(body) != 1:
        raise QueryError(f"{place}: expected an object with one field, found {body!r:.80}")
    ((field, value),) = body.items()
    return field, value
