"""Filters -> the server's query language."""

from __future__ import annotations

from typing import Any

from retriever.filters import And, Equal, Exists, Filter, In, Not, Or, Range

__all__ = ["filter_query"]


def filter_query(filter: Filter) -> dict[str, Any]:
    """Return the query that finds what the filter matches.

    A field's kind on the server is that of its first value; the server reads a value of another
    kind as that kind where it can, so that ``"2000"`` finds 2000 there. And an object exists there
    when something in it does.
    """
    match filter:
        case Equal(field, value):
            return {"term": {_path(field): {"value": value}}}
        case In(field, values):
            return {"terms": {_path(field): list(values)}}
        case Range(field, gt, gte, lt, lte):
            bounds = {"gt": gt, "gte": gte, "lt": lt, "lte": lte}
            given = {name: bound for name, bound in bounds.items() if bound is not None}
            return {"range": {_path(field): given}}
        case Exists(field):
            return {"exists": {"field": _path(field)}}
        case And(filters):
            return {"bool": {"filter": [filter_query(part) for part in filters]}}
        case Or(filters):
            return _any(filters)
        case Not(negated):
            return {"bool": {"must_not": [filter_query(negated)]}}


def _any(filters: tuple[Filter, ...]) -> dict[str, Any]:
    if not filters:
        return {"match_none": {}}
    return {"bool": {"should": [filter_query(part) for part in filters], "minimum_should_match": 1}}


def _path(field: str) -> str:
    return f"metadata.{field}"
