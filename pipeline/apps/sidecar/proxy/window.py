"""A search, its ``rescore.neural``, and the search for candidates that is sent in its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown  # of whatever depth
from typing import Any

from pydantic import ValidationError

from twopass.pipeline.apps.settings.serve import NeuralRescore
from twopass.pipeline.apps.sidecar.proxy.obstacles import Params, PassedOn, obstacle, setting
from twopass.pipeline.apps.sidecar.proxy.texts import matches, plain_text, query_text
from twopass.pipeline.errors import SearchError

__all__ = [
    "HEADER",
    "Search",
    "Window",
    "rescore_of_header",
    "split_neural",
    "window_of",
]


HEADER = "x-twopass-rescore"

_MOST_NAMES = 100


def split_neural(body: Mapping[str, Any]) -> tuple[dict[str, Any], NeuralRescore]:
    """Part a body into what is Elasticsearch's and what is ours.

    Rescorers of Elasticsearch's own stay where they are and run first::

        "rescore": [{"query": {...}, "window_size": 50}, {"neural": {...}, "window_size": 100}]

    Raises:
        SearchError: when there is more than one of ours, or one before another, or it says what
            it must not.

    """
    rescore = body.get("rescore")
    rescorers = rescore if isinstance(rescore, list) else [rescore]
    ours = [position for position, each in enumerate(rescorers) if _is_ours(each)]
    if not ours:
        return dict(body), NeuralRescore()
    if ours != [len(rescorers) - 1]:
        raise SearchError(
            f"rescore: expected one 'neural' rescorer, after all others, found {len(ours)} "
            f"among {len(rescorers)}"
        )
    theirs = {name: value for name, value in body.items() if name != "rescore"}
    if len(rescorers) > 1:
        theirs["rescore"] = rescorers[:-1]
    return theirs, _of_rescorer(rescorers[-1])


def rescore_of_header(value: str | None) -> NeuralRescore:
    """Read the header: ``true``, ``false``, or the object that ``rescore.neural`` would be.

    Raises:
        SearchError: when it is neither.

    """
    if value is None:
        return NeuralRescore()
    try:
        content = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise SearchError(f"{HEADER}: expected true, false or a JSON object: {error}") from error
    return _checked(content, HEADER)


def _is_ours(rescorer: Any) -> bool:
    return isinstance(rescorer, Mapping) and "neural" in rescorer


def _of_rescorer(rescorer: Any) -> NeuralRescore:
    unknown = sorted(set(rescorer) - {"neural", "window_size"})
    if unknown:
        raise SearchError(f"rescore: expected 'window_size' beside 'neural', found {unknown}")
    content = rescorer["neural"]
    if isinstance(content, Mapping) and "window_size" in rescorer:
        content = {"window_size": rescorer["window_size"], **content}
    return _checked(content, "rescore.neural")


def _checked(content: Any, where: str) -> NeuralRescore:
    if isinstance(content, bool):
        return NeuralRescore(enabled=content)
    if not isinstance(content, Mapping):
        raise SearchError(f"{where}: expected an object, true or false, found {shown(content)}")
    if len(content) > _MOST_NAMES:  # each wrong one would be a finding
        raise SearchError(f"{where}: expected at most {_MOST_NAMES} names, found {len(content)}")
    try:
        return NeuralRescore.model_validate({"enabled": True, **content})
    except ValidationError as error:
        problems = (
            ".".join([where, *map(str, each["loc"])]) + f": {each['msg']}"
            for each in error.errors(include_url=False)
        )
        raise SearchError("; ".join(problems)) from error


_FIRST_PAGE = 10
# Each pattern is compared with each field of each hit.
_MOST_FIELDS = 1_000
_LONGEST_FIELD = 1_000


@dataclass(frozen=True, slots=True)
class Search:
    """One search of a caller's.

    Attributes:
        index: what is searched, as the caller wrote it; empty for all.
        body: Elasticsearch's part of the body.
        params: of the query string, or of the line above the body in ``_msearch``.
        rescore: what to rerank by.

    """

    index: str
    body: Mapping[str, Any]
    params: Params
    rescore: NeuralRescore


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent in place of a search, and how its answer becomes the search's.

    Attributes:
        body: asks for the window, from its first hit on.
        params: without those that ``body`` now says.
        start: the position of the page's first hit, from 0.
        size: how many hits the page has at most.
        depth: how many hits are reranked.
        query: the text to rerank by.
        fields: what is read of each hit; none for all its strings.
        strict: whether only those fields are read.
        kept: patterns of the ``fields`` that the caller wants; ``None`` where nothing was
            added to them.
        added: patterns of those that were added.
        rescore: what to rerank by.

    """

    body: Mapping[str, Any]
    params: Params
    start: int
    size: int
    depth: int
    query: str
    fields: tuple[str, ...]
    strict: bool
    kept: tuple[str, ...]
    added: tuple[str, ...]
    rescore: NeuralRescore

    def is_extra(self, name: str, values: Any) -> bool:
        """Return whether an entry of a hit's ``fields`` is there only for reranking."""
        nested = isinstance(values, list) and any(isinstance(each, Mapping) for each in values)
        return _takes_in(self.added, name, nested) and not _takes_in(self.kept, name, nested)


def window_of(search: Search, *, stable_pages: bool = True) -> Window | PassedOn:
    """Make a search for candidates of a caller's search, or say why it cannot be reranked."""
    rescore, body, params = search.rescore, search.body, search.params
    if not rescore.enabled:
        return PassedOn("off", "reranking is off for this search")
    found = obstacle(body, params)
    if found is not None:
        return found
    start = _count(setting(body, params, "from"), 0)
    size = _count(setting(body, params, "size"), _FIRST_PAGE)
    depth = rescore.window_size or 1
    if start is None or size is None:
        return PassedOn("paging", "from or size is no count")
    if start >= depth:
        return PassedOn("beyond", f"the page starts after the {depth} reranked hits")
    text, fields = _text_and_fields(body, params)
    if not (rescore.query or text):
        return PassedOn("query", "the query has no words to rerank by")
    added, kept = _additions(body, params, rescore.fields or fields)
    if _are_too_many([*added, *kept, *(rescore.fields or fields)]):
        return PassedOn("fields", f"it names more than {_MOST_FIELDS} fields, or one too long")
    page = {"from": 0, "size": max(depth, start + size)}
    more = {"fields": [*_listed(body.get("fields")), *added]} if added else {}
    return Window(
        body={**body, **page, **more},
        params=_params(search, stable_pages=stable_pages),
        start=start,
        size=size,
        depth=depth,
        query=rescore.query or text,
        fields=rescore.fields or fields,
        strict=rescore.fields is not None,
        kept=kept,
        added=added,
        rescore=rescore,
    )


def _count(value: Any, default: int) -> int | None:
    """Read a count as Elasticsearch does, from a number or its digits; None where it is none."""
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text_and_fields(body: Mapping[str, Any], params: Params) -> tuple[str, tuple[str, ...]]:
    given = dict(params)
    if "q" in given:
        fields = (given["df"],) if "df" in given else ()
        return plain_text(given["q"]), fields
    found = query_text(body.get("query"))
    return found.text, found.fields


def _additions(
    body: Mapping[str, Any], params: Params, fields: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which fields must be fetched too, and which the caller fetches already.

    Nothing must where ``_source`` comes whole. Where it is cut or left out, ``fields`` brings the
    texts, apart from what the caller sees.
    """
    given = dict(params)
    cut = any(name.startswith("_source") for name in given) or body.get("_source", True) is not True
    without_source = any(
        name in body or name in given for name in ("stored_fields", "script_fields")
    )
    if not (cut or without_source):
        return (), ()
    kept = [
        *map(_name, _listed(body.get("fields"))),
        *map(_name, _listed(setting(body, params, "docvalue_fields"))),
        *map(_name, _listed(setting(body, params, "stored_fields"))),
        *(body.get("script_fields") or {}),
    ]
    known = set(kept)
    added = tuple(field for field in fields or ("*",) if field not in known)
    return added, tuple(kept)


def _are_too_many(fields: Sequence[str]) -> bool:
    distinct = set(fields)
    return len(distinct) > _MOST_FIELDS or any(len(each) > _LONGEST_FIELD for each in distinct)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split(",")
    return value if isinstance(value, list) else []


def _name(field: Any) -> str:
    return str(field.get("field", "")) if isinstance(field, Mapping) else str(field)


def _takes_in(patterns: Iterable[str], name: str, nested: bool) -> bool:
    """Return whether one of the patterns is of a field, or of one inside it, if it is nested."""
    return any(matches(name, each) or (nested and each.startswith(f"{name}.")) for each in patterns)


def _params(search: Search, *, stable_pages: bool) -> Params:
    """Leave out what the body says now; name copies of the shards, the same for every page."""
    left = tuple(pair for pair in search.params if pair[0] not in ("from", "size"))
    if not stable_pages or "preference" in dict(left) or "pit" in search.body:
        return left
    asks = json.dumps([search.index, search.body.get("query"), dict(left).get("q")])
    return (*left, ("preference", f"twopass-{hashlib.sha256(asks.encode()).hexdigest()[:16]}"))
