"""Why a search cannot be reranked: its answer is no list by score, or must stay as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["MOST_PARAMS", "Params", "PassedOn", "obstacle", "setting"]

Params: TypeAlias = tuple[tuple[str, str], ...]
"""The query string's parameters, in order."""


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A search that goes to Elasticsearch as it came.

    Attributes:
        code: why, for programs and metrics; one of few.
        reason: why, for people.

    """

    code: str
    reason: str


def setting(body: Mapping[str, Any], params: Params, name: str) -> Any:
    """Return what a search says by that name; the query string counts more, as there."""
    return dict(params).get(name, body.get(name))


def obstacle(body: Mapping[str, Any], params: Params) -> PassedOn | None:
    """Return why this search is not to be reranked, if there is a reason in its form."""
    if len(params) > MOST_PARAMS:
        return PassedOn("params", f"the query string has more than {MOST_PARAMS} parameters")
    names = {*body, *(name for name, _ in params)}
    for name, reason in _NAMES.items():
        if name in names:
            return PassedOn(name, reason)
    for code, (found, reason) in _FORMS.items():
        if found(body, params):
            return PassedOn(code, reason)
    return None


MOST_PARAMS = 100  # Elasticsearch's search has about 40; each search of many reads them all

_NAMES: Mapping[str, str] = {
    "collapse": "collapsed hits are the best of their groups by Elasticsearch's score",
    "scroll": "a scroll reads all hits in one fixed order",
    "search_after": "search_after continues from a position in Elasticsearch's order",
    "retriever": "a retriever ranks by its own means",
    "rank": "rank merges several lists by its own means",
    "slice": "a slice is read whole",
    "filter_path": "filter_path may take away what reranking needs",
    "source": "the body is in the query string",
}


def _is_empty(body: Mapping[str, Any], params: Params) -> bool:
    return setting(body, params, "size") in (0, "0")


def _is_sorted(body: Mapping[str, Any], params: Params) -> bool:
    """Return whether hits are sorted by something else than, first, their score."""
    by = setting(body, params, "sort")
    if isinstance(by, str):  # of the query string: name, or name:direction
        by = by.split(",")
    first = by[0] if isinstance(by, list) and by else by
    if isinstance(first, Mapping):
        first = next(iter(first.items()), None)
    match first:
        case None | [] | "" | "_score" | "_score:desc":
            return False
        case ("_score", "desc" | {"order": "desc"} | {}):
            return False
        case _:
            return True


def _is_without_fields(body: Mapping[str, Any], params: Params) -> bool:
    return setting(body, params, "stored_fields") in ("_none_", ["_none_"])


def _is_of_another_format(body: Mapping[str, Any], params: Params) -> bool:
    del body
    return dict(params).get("format", "json") != "json"


_Form: TypeAlias = Callable[[Mapping[str, Any], Params], bool]

_FORMS: Mapping[str, tuple[_Form, str]] = {
    "size": (_is_empty, "size 0 asks for no hits"),
    "sort": (_is_sorted, "hits are sorted by something else than their score"),
    "stored_fields": (_is_without_fields, "stored_fields _none_ leaves no text to read"),
    "format": (_is_of_another_format, "the caller wants the answer in another format than JSON"),
}
