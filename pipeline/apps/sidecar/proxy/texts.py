"""The texts that the second stage reads: the words of a query, and the fields of a hit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

__all__ = [
    "QueryText",
    "matches",
    "plain_text",
    "query_text",
    "text_of",
]


_FULL_TEXT = ("match", "match_phrase", "match_phrase_prefix", "match_bool_prefix")
_SYNTAX = ("query_string", "simple_query_string")
_MULTIPLE = ("multi_match", "combined_fields", *_SYNTAX)
# Where clauses stand in a compound query that are to match; what only filters has no words.
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
class QueryText:
    """The words of a query.

    Attributes:
        text: its words, those of several clauses one after another; empty where it has none.
        fields: where it looks for them, patterns among them; empty for everywhere.

    """

    text: str
    fields: tuple[str, ...] = ()


def query_text(query: Any) -> QueryText:
    """Find the words of a query of Elasticsearch's, however deep its clauses lie.

    Words come from match, match_phrase, match_phrase_prefix, match_bool_prefix, multi_match,
    combined_fields, query_string and simple_query_string, also inside bool (must and should),
    boosting, constant_score, dis_max, function_score, nested, pinned and script_score. Clauses
    with the same words in several fields are one text. What is read ends after 10,000 clauses and
    after the clause that completes 10,000 characters, of which no more are read: this runs where
    all requests wait, and models read no further.
    """
    texts: dict[str, None] = {}
    fields: dict[str, None] = {}
    everywhere, left = False, _MOST_CHARACTERS
    for clause in islice(_clauses(query), _MOST_CLAUSES):
        text = clause.words(left)
        left -= len(clause.text) + bool(clause.text)  # a space between two
        texts.update({text: None} if text else {})
        fields.update(dict.fromkeys(clause.fields))
        everywhere = everywhere or bool(text and not clause.fields)
        if left <= 0:
            break
    return QueryText(" ".join(texts), () if everywhere else tuple(fields))


def plain_text(syntax: str) -> str:
    """Take the words out of Lucene's query syntax: no operators, fields, boosts, nor what is not.

    Of ``title:(fast cars)^2 AND -red`` remains ``fast cars``. The first 10,000 characters are read.
    """
    text = _without_negated(syntax[:_MOST_CHARACTERS])
    for pattern in _NO_WORDS:
        text = pattern.sub(" ", text)
    return " ".join(text.split())


_MOST_CHARACTERS = 10_000
_MOST_CLAUSES = 10_000

# Every quantifier that another character could follow is possessive, and no match may begin
# inside a run that was refused: otherwise each character of a long run would read the rest of it.
_NEGATED = re.compile(r"(?:(?<!\S)[-!]|\bNOT\s++)(?=\S)(?:[\w.*]++:(?=\S))?")
_CHUNK = re.compile(r"\S++")
_CLOSING = {'"': '"', "(": ")"}
_NO_WORDS = [
    re.compile(pattern)
    for pattern in (
        r"(?<![\w.*\\])[\w.*](?:\\?[\w.*])*+:(?=\S)(?!//)",  # fields, but no addresses
        r"\b(?:AND|OR|TO)\b|&&|\|\|",
        r"[~^][\d.]*+",  # slop, fuzziness, boosts
        r"[+|\"(){}\[\]*?\\<>=]",
    )
]


def _without_negated(syntax: str) -> str:
    """Leave out what is not to be: a word, a phrase or a group after ``-``, ``!`` or ``NOT``."""
    last = {sign: syntax.rfind(sign) for sign in _CLOSING.values()}  # no closing sign after these
    parts, position = [], 0
    while found := _NEGATED.search(syntax, position):
        parts.append(syntax[position : found.start()])
        position = _end_of_clause(syntax, found.end(), last)
    return " ".join([*parts, syntax[position:]])


def _end_of_clause(syntax: str, start: int, last: Mapping[str, int]) -> int:
    closing = _CLOSING.get(syntax[start])
    if closing is not None and start < last[closing]:
        return syntax.index(closing, start + 1) + 1
    chunk = _CHUNK.match(syntax, start)
    return chunk.end() if chunk else start


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause that is still to be looked at."""

    kind: str
    content: Any


@dataclass(frozen=True, slots=True)
class _Asking:
    """What one clause asks, as it is written there; nothing by itself, where it has other ones."""

    text: str = ""
    fields: tuple[str, ...] = ()
    in_syntax: bool = False

    def words(self, most: int) -> str:
        """Return the words of so many characters."""
        text = self.text[:most]
        return plain_text(text) if self.in_syntax else " ".join(text.split())


def _clauses(query: Any) -> Iterator[_Asking]:
    """Yield what each clause asks, in their order; what only holds others counts as one too."""
    waiting = [query]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, Mapping):
            waiting += [_Clause(kind, content) for kind, content in each.items()][::-1]
        elif isinstance(each, _Clause) and isinstance(each.content, Mapping):
            yield from _asking(each.kind, each.content)
            inner = [each.content.get(name) for name in _INNER.get(each.kind, ())]
            waiting += reversed(inner)
        yield _Asking()


def _asking(kind: str, content: Mapping[str, Any]) -> Iterator[_Asking]:
    if kind in _FULL_TEXT:
        for field, value in content.items():
            yield _Asking(_text(value), (field,))
    elif kind in _MULTIPLE:
        yield _Asking(_text(content), _fields(content), kind in _SYNTAX)


def _text(value: Any) -> str:
    """Return the words of a field's value, or of what its object calls the query."""
    if isinstance(value, Mapping):
        value = value.get("query", "")
    return str(value) if isinstance(value, str | int | float) else ""


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
        strict: read only those fields; otherwise all strings of a hit that has none of them.

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
    """Return whether a field's name fits a pattern of Elasticsearch's; only * is special."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def _is_of(path: str, field: str) -> bool:
    """Return whether the string at a path is the field's: by name, or of one inside or above it.

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
