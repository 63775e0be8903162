"""What is searched for on a server: an index's fields, and query templates of the user's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import QueryError

__all__ = [
    "IndexFields",
    "QueryTemplate",
]


_WEIGHTED = re.compile(r"[^^\s]++(\^\d++(\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class IndexFields:
    """Names of fields, dotted where they lie in objects; the defaults are those of our own indices.

    Attributes:
        search: fields that queries are matched with, each with a weight if wanted: ``title^2``.
        title: the field of the title; empty where there is none.
        text: the fields of the text, joined in this order; a second stage reads title and text.
        metadata: the object whose fields filters name; empty for the document itself.

    Raises:
        QueryError: when there is no field to search or to read, or a name is none.

    """

    search: tuple[str, ...] = ("contents",)
    title: str = "title"
    text: tuple[str, ...] = ("text",)
    metadata: str = "metadata"

    def __post_init__(self) -> None:
        for name, values in (("search", self.search), ("text", self.text)):
            if type(values) is not tuple or not values:
                raise QueryError(
                    f"{name}: expected a tuple of one or more fields, found {values!r}"
                )
        for field in self.search:
            if not _WEIGHTED.fullmatch(field):
                raise QueryError(f"search: expected a field as title or title^2, found {field!r}")

    @property
    def read(self) -> list[str]:
        """The fields that title and text come from."""
        return [*([self.title] if self.title else []), *self.text]

    def match(self, query: str) -> dict[str, Any]:
        """Return the query that matches a text with the fields to search."""
        if len(self.search) == 1 and "^" not in self.search[0]:
            return {"match": {self.search[0]: {"query": query}}}
        return {"multi_match": {"query": query, "fields": list(self.search)}}

    def path(self, field: str) -> str:
        """Return the full name of a field that a filter names."""
        return f"{self.metadata}.{field}" if self.metadata else field

    def has_text(self, source: Mapping[str, Any]) -> bool:
        """Tell whether a document has any field that a second stage could read."""
        return any(_value(source, field) is not None for field in self.read)

    def document(self, id: str, source: Mapping[str, Any]) -> Document:
        """Return the document that was stored as ``source``, as much of it as is there."""
        return Document(
            id,
            text="\n".join(filter(None, (_text(_value(source, field)) for field in self.text))),
            title=_text(_value(source, self.title)) if self.title else "",
            metadata=self._metadata(source),
        )

    def _metadata(self, source: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.metadata:
            value = _value(source, self.metadata)
            return value if isinstance(value, Mapping) else {}
        return {name: value for name, value in source.items() if name not in self.read}


def _value(source: Any, path: str) -> Any:
    """Return what stands at a dotted name, of each member where it goes through a list."""
    if isinstance(source, list):
        return [_value(member, path) for member in source]
    if not isinstance(source, Mapping):
        return None
    if path in source:  # a document may have been sent with a dotted name as well
        return source[path]
    head, dot, rest = path.partition(".")
    return _value(source.get(head), rest) if dot else None


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping):
        return ""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    return str(value)


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
