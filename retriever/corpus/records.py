"""From a record to a document.

Names of fields, defaults, metadata, and what happens with a bad record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import CorpusError

__all__ = [
    "ErrorHandler",
    "FieldNames",
    "OnError",
    "SkipReport",
    "check_columns",
    "stop",
    "to_document",
]


OnError: TypeAlias = Literal["stop", "skip"]

ErrorHandler: TypeAlias = Callable[[CorpusError], None]
"""Takes the error of one record; what it does not raise is skipped."""


def stop(error: CorpusError) -> None:
    """Raise the error: the first bad record ends the reading."""
    raise error


@dataclass(slots=True)
class SkipReport:
    """Counts the records that were skipped and keeps the first cases.

    Attributes:
        keep: how many cases are kept.
        count: how many records were skipped.
        cases: (at most ``keep``) what was wrong with the first of them, with file and line.

    """

    keep: int = 10
    count: int = 0
    cases: list[str] = field(default_factory=list)

    def add(self, error: CorpusError) -> None:
        """Count one skipped record."""
        self.count += 1
        if len(self.cases) < self.keep:
            self.cases.append(str(error))


_CUSTOMARY = {
    "id": ("_id", "id", "docid", "doc_id"),
    "text": ("text", "contents", "content", "body"),
    "title": ("title",),
}
_METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Which fields of a record are its id, text and title.

    None takes the first that is there of the customary names: ``_id``, ``id``, ``docid``,
    ``doc_id``; ``text``, ``contents``, ``content``, ``body``; ``title``. A record needs an id
    and a text; a title may be missing. All other fields become metadata, and so do the members
    of an object named ``metadata`` (BEIR's way; a field of the record itself comes first).

    Raises:
        CorpusError: when one field is to be two things.

    """

    id: str | None = None
    text: str | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in (self.id, self.text, self.title) if name is not None]
        if len(set(given)) != len(given) or "" in given:
            raise CorpusError(f"field names: expected different names, found {given}")


def check_columns(names: FieldNames, columns: Collection[str]) -> None:
    """Raise CorpusError when a table lacks a column that is needed or was named."""
    for role in ("id", "text", "title"):
        if role != "title" or names.title is not None:
            _find(role, names, columns)


def to_document(record: Mapping[str, Any], names: FieldNames) -> Document:
    """Build the document of one record.

    A whole number as the id is taken as its decimal digits, so that ``17`` and ``"17"`` are the
    same id; null as text or title is an empty string.

    Raises:
        CorpusError: when a field is missing or is not of its type.

    """
    id, text = _find("id", names, record), _find("text", names, record)
    title = names.title or "title"
    return Document(
        id=_id(id, record[id]),
        text=_string(text, record[text]),
        title=_string(title, record.get(title)),
        metadata=_metadata(record, {id, text, title}),
    )


def _find(role: str, names: FieldNames, fields: Collection[str]) -> str:
    given = getattr(names, role)
    candidates = (given,) if given else _CUSTOMARY[role]
    for name in candidates:
        if name in fields:
            return str(name)
    expected = " or ".join(repr(name) for name in candidates)
    found = ", ".join(repr(name) for name in fields) or "none"
    raise CorpusError(
        f"expected the field {expected} as the {role}, found the fields {found:.300}; "
        f"name another with --{role}-field or FieldNames({role}=...)"
    )


def _id(name: str, value: object) -> str:
    if type(value) is int:  # not bool, which is an int too
        return str(value)
    if not isinstance(value, str):
        raise CorpusError(f"field {name!r}: expected a string or a whole number, {_found(value)}")
    if not value:
        raise CorpusError(f"field {name!r}: expected an id, found an empty string")
    return value


def _string(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"field {name!r}: expected a string, {_found(value)}")
    return value


def _found(value: object) -> str:
    return f"found {type(value).__name__} {value!r:.80}"


def _metadata(record: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    own = {name: value for name, value in record.items() if name not in taken}
    nested = own.get(_METADATA)
    if isinstance(nested, Mapping):
        del own[_METADATA]
        own = {**nested, **own}
    return {name: value for name, value in own.items() if value is not None}
