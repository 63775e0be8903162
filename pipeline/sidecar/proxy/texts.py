"""What a second stage reads of a hit: the texts of its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["matches", "text_of"]


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
