"""The part of a document that shows best why it was found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retriever import Retriever

__all__ = ["Parts", "Snippets", "printable"]

Parts = list[tuple[str, bool]]
"""A text in parts, each with whether it matches the query."""

_PRE, _POST = "\x02", "\x03"  # no printable text has them
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Snippets:
    """Cuts out the best part of each document that a query found.

    Attributes:
        retriever: it may have the documents' titles (``get``) and mark what matches
            (``highlight``); from one that does not, a text's beginning is shown.
        query: what was searched for.
        size: characters at most.

    """

    retriever: Retriever
    query: str
    size: int = 160

    def cut(self, id: str, text: str, passage: str | None = None) -> tuple[str, Parts]:
        """Return a document's title, empty where none is known, and the part of its text to show.

        Args:
            id: the document's.
            text: what the retriever gave of it.
            passage: of the text, from which the part is to be; by default from all of it.

        """
        get = getattr(self.retriever, "get", None)
        if get is None:
            return "", self._parts(passage or text)
        document = get(id)
        return printable(document.title), self._parts(passage or document.text)

    def _parts(self, text: str) -> Parts:
        clean = printable(text[:_LONGEST])
        highlight = getattr(self.retriever, "highlight", None)
        options = {"fragment_size": self.size, "number_of_fragments": 1}
        found = highlight and highlight(self.query, clean, pre=_PRE, post=_POST, **options)
        marked = found[0] if found else clean[: self.size]
        pieces = re.split(f"{_PRE}(.*?){_POST}", marked)
        return [(piece, bool(place % 2)) for place, piece in enumerate(pieces) if piece]


def printable(text: str) -> str:
    """Put a text on one line, without what could command a terminal."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(clean.split())
