"""Filters -> the server's query language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retriever.elastic.fields import IndexFields
from retriever.filters import And, Equal, Exists, Filter, In, Not, Or, Range

__all__ = ["filter_query"]

_OURS = IndexFields().path


def filter_query(filter: Filter, path: Callable[[str], str] = _OURS) -> dict[str, Any]:
    """Return the query that finds what the filter matches.

    A field's kind on the server is that of its first value; the server reads a value of another
    kind as that kind where it can, so that ``"2000"`` finds 2000 there. And an object exists there
    when something in it does.

    Args:
        filter: what is to match.
        path: from a field's name in the filter to its name there.

    """
    match filter:
        case Equal(field, value):
            return {"term": {path(field): {"value": value}}}
        case In(field, values):
            return {"terms": {path(field): list(values)}}
        case Range(field, gt, gte, lt, lte):
            bounds = {"gt": gt, "gte": gte, "lt": lt, "lte": lte}
            given = {name: bound for name, bound in bounds.items() if bound is not None}
            return {"range": {path(field): given}}
        case Exists(field):
            return {"exists": {"field": path(field)}}
        case And(filters):
            return {"bool": {"filter": [filter_query(part, path) for part in filters]}}
        case Or(filters):
            return _any([filter_query(part, path) for part in filters])
        case Not(negated):
            return {"bool": {"must_not": [filter_query(negated, path)]}}


def _any(queries: list[dict[str, Any]]) -> dict[str, Any]:
    if not queries:
        return {"match_none": {}}
    return {"bool": {"should": queries, "minimum_should_match": 1}}
