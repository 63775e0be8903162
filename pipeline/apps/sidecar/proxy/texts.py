"""The texts that the second stage reads: the words of a query, and the fields of a hit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = [
    "Asked",
    "asked",
    "matches",
    "plain_text",
    "text_of",
]


_FULL_TEXT = ("match", "match_phrase", "match_phrase_prefix", "match_bool_prefix")
_SYNTAX = ("query_string", "simple_query_string")
_MULTIPLE = ("multi_match", "combined_fields", *_SYNTAX)
# Where clauses stand in a compound query that are to match; what only filters asks nothing.
_INNER: Mapping[str, tuple[str, ...]] = {
    "bool": ("must", "should"),
    "boosting": ("positive",),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "function_score": ("query",),
    "nested": ("query",),
    "pinned": ("organic",),
    "script_score": ("query",),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks.

    Attributes:
        text: its words, those of several clauses one after another; empty where it has none.
        fields: where it looks for them, patterns among them; empty for everywhere.

    """

    text: str
    fields: tuple[str, ...] = ()


def asked(query: Any) -> Asked:
    """Find the words of a query of Elasticsearch's, however deep its clauses lie.

    Words come from match, match_phrase, match_phrase_prefix, match_bool_prefix, multi_match,
    combined_fields, query_string and simple_query_string, also inside bool (must and should),
    boosting, constant_score, dis_max, function_score, nested, pinned and script_score. Clauses
    that ask the same in several fields are one text.
    """
    clauses = list(_clauses(query))
    texts = dict.fromkeys(clause.text for clause in clauses if clause.text)
    everywhere = any(clause.text and not clause.fields for clause in clauses)
    fields = dict.fromkeys(field for clause in clauses for field in clause.fields)
    return Asked(" ".join(texts), () if everywhere else tuple(fields))


def plain_text(syntax: str) -> str:
    """Take the words out of Lucene's query syntax: no operators, fields, boosts, nor what is not.

    Of ``title:(fast cars)^2 AND -red`` remains ``fast cars``.
    """
    for pattern in _NO_WORDS:
        syntax = pattern.sub(" ", syntax)
    return " ".join(syntax.split())


_NO_WORDS = [
    re.compile(pattern)
    for pattern in (
        r"(?:(?<!\S)[-!]|\bNOT\s+)(?:[\w.*]+:)?(?:\"[^\"]*\"|\([^)]*\)|\S+)",  # what is not to be
        r"(?<![\w\\])[\w.*]+:(?=\S)(?!//)",  # fields, but no addresses
        r"\b(?:AND|OR|TO)\b|&&|\|\|",
        r"[~^][\d.]*",  # slop, fuzziness, boosts
        r"[+|\"(){}\[\]*?\\<>=]",
    )
]


def _clauses(query: Any) -> Iterator[Asked]:
    if isinstance(query, list):
        for each in query:
            yield from _clauses(each)
    elif isinstance(query, Mapping):
        for kind, content in query.items():
            yield from _clause(kind, content)


def _clause(kind: str, content: Any) -> Iterator[Asked]:
    if not isinstance(content, Mapping):
        return
    if kind in _FULL_TEXT:
        for field, value in content.items():
            yield Asked(_words(value), (field,))
    elif kind in _MULTIPLE:
        words = _words(content)
        yield Asked(plain_text(words) if kind in _SYNTAX else words, _fields(content))
    else:
        for place in _INNER.get(kind, ()):
            yield from _clauses(content.get(place))


def _words(value: Any) -> str:
    """Return what is asked: a field's value, or what its object calls the query."""
    if isinstance(value, Mapping):
        value = value.get("query", "")
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _fields(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a clause's fields without their boosts."""
    fields = content.get("fields") or content.get("default_field") or ()
    listed = [fields] if isinstance(fields, str) else fields
    names = (str(field).partition("^")[0] for field in listed)
    return tuple(name for name in names if name and name != "*")


def text_of(hit: Mapping[str, Any], fields: Sequence[str], *, strict: bool) -> str:
    """Return the texts of a hit's fields, a line each, in the fields' order.

    They are read from ``_source`` and, where it has none of them, from ``fields``. What stands
    twice is read once.

    Args:
        hit: one of Elasticsearch's.
        fields: (f,) names or patterns (``title``, ``section.*``); none for all strings.
        strict: read those fields alone; otherwise all strings of a hit that has none of them.

    """
    source = list(_strings(hit.get("_source", {})))
    named = [pair for field in fields for pair in source if _is_of(pair[0], field)]
    if not named:
        shown = list(_strings(hit.get("fields", {})))
        named = [pair for field in fields or ("*",) for pair in shown if matches(pair[0], field)]
    if not named and not (fields and strict):
        named = source
    text = "\n".join(dict.fromkeys(text for _, text in named if text.strip()))
    # JSON may hold halves of characters, which no tokeniser takes.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def matches(name: str, pattern: str) -> bool:
    """Tell whether a field's name fits a pattern of Elasticsearch's, in which only * is special."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def _is_of(path: str, field: str) -> bool:
    """Tell whether the string at a path is the field's: by name, or of one inside or above it.

    ``title`` is read for its multi-field ``title.english``, and ``author.name`` for ``author``.
    """
    return matches(path, field) or path.startswith(f"{field}.") or field.startswith(f"{path}.")


def _strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each string with the dotted path of its field."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, path)
