"""Queries of a user's own: JSON with a place for what is searched for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from retriever.base import QueryError

__all__ = ["QueryTemplate"]

_PLACE = "{query}"
_BODY = {"query", "retriever", "knn", "size", "from", "sort", "_source", "aggs"}


class QueryTemplate:
    """A query of Elasticsearch's with ``{query}`` in the strings where the searched text goes.

    The text is put into strings that have been read, never into JSON that is still to be read, so
    that quotes and braces in it mean themselves. A query type with a syntax of its own
    (``query_string``) reads it all the same: use ``simple_query_string``, or ``match``.
    """

    def __init__(self, template: str | Mapping[str, Any]) -> None:
        """Check a template.

        Args:
            template: ``{"multi_match": {"query": "{query}", "fields": ["title^2", "body"]}}`` or
                any other query, as JSON or as what JSON reads as.

        Raises:
            QueryError: when it is no JSON object, no single query, or has no place for the text.

        """
        self._template = _read(template)
        if not any(_PLACE in text for text in _strings(self._template)):
            raise QueryError(
                f"template: expected {_PLACE!r} in one of its strings, where the searched text "
                f"goes, found none in {json.dumps(self._template)[:200]}"
            )

    def fill(self, query: str) -> dict[str, Any]:
        """Return the query for a text."""
        filled: dict[str, Any] = _filled(self._template, query)
        return filled


def _read(template: str | Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = template if isinstance(template, str) else json.dumps(template)
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise QueryError(f"template: expected JSON, found {template!r:.200}: {error}") from error
    if not isinstance(value, dict) or len(value) != 1 or _BODY & value.keys():
        body = isinstance(value, dict) and _BODY & value.keys()
        hint = "; give what stands under 'query' alone" if body else ""
        raise QueryError(
            'template: expected one query, as {"match": {"body": "{query}"}}, '
            f"found {text:.200}{hint}"
        )
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else _items(value):
        yield from _strings(inner)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _filled(value: Any, query: str) -> Any:
    if isinstance(value, str):
        return value.replace(_PLACE, query)
    if isinstance(value, dict):
        return {name: _filled(inner, query) for name, inner in value.items()}
    return [_filled(inner, query) for inner in value] if isinstance(value, list) else value
