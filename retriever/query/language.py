r"""A small query language: what a searcher may type beside plain words.

::

    query  = clause { white space, clause }
    clause = [ "+" | "-" ], ( word | phrase ), [ "^", boost ]
    phrase = '"', any characters, '"'

``word`` should match, ``+word`` must, ``-word`` must not; a phrase matches where its words stand
side by side in this order; ``^2.5`` multiplies what a clause adds to the score. A backslash makes
the next character an ordinary one. Signs and quotes mean something only where a clause begins, so
``e-mail`` and ``5"`` are words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from twopass.retriever.errors import QueryError

__all__ = ["Clause", "Occur", "Query", "Syntax", "parse"]

Syntax: TypeAlias = Literal["plain", "query", "lenient"]
"""How a query's text is read: as words alone; in the language above, its mistakes refused; or in
that language, with what is not understood taken as words."""


class Occur(Enum):
    """Whether a document has to match a clause."""

    SHOULD = ""
    REQUIRED = "+"
    EXCLUDED = "-"


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a query, not yet analysed.

    Attributes:
        text: a word, several words, or what stands between the quotes.
        occur: whether a document has to match it.
        quoted: whether its words must stand side by side, in this order.
        boost: factor on what it adds to the score, from 1e-6 to 1e6.

    Raises:
        QueryError: when the boost is out of its range.

    """

    text: str
    occur: Occur = Occur.SHOULD
    quoted: bool = False
    boost: float = 1.0

    def __post_init__(self) -> None:
        if not _usable(self.boost):
            raise QueryError(
                f"boost of {self.text!r:.80}: expected 0.000001 to 1000000, found {self.boost}"
            )


@dataclass(frozen=True, slots=True)
class Query:
    """A query as its clauses, in the order in which they were typed."""

    clauses: tuple[Clause, ...]

    @classmethod
    def plain(cls, text: str) -> Query:
        """Every word of the text should match, and no character means anything else."""
        return cls((Clause(text),))


# A word gives nothing back: what is not followed by what must follow is none, however it is cut.
_WORD = r"(?![+\"^-])(?:[^\s\\^]|\\.)++"
_PHRASE = r'"(?:[^"\\]|\\.)*+"'
_CLAUSE = re.compile(
    rf"(?P<sign>[+-]?)(?P<body>{_PHRASE}|{_WORD})(?:\^(?P<boost>[0-9]++(?:\.[0-9]++)?))?(?=\s|\Z)",
    re.DOTALL,
)
_SIGNED = re.compile(rf"[+-]?{_WORD}", re.DOTALL)
_QUOTE = re.compile(r"[+-]?\"")
_BODY = re.compile(rf"{_PHRASE}|{_WORD}", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"\s*")
_CHUNK = re.compile(r"\S+")


def parse(text: str, syntax: Syntax = "query") -> Query:
    """Read a query.

    Args:
        text: what was typed.
        syntax: ``"plain"`` and ``"lenient"`` never fail.

    Raises:
        QueryError: when ``syntax`` is ``"query"`` and the text does not follow it, with the
            position of the mistake; or when there is no such syntax.

    """
    if syntax not in ("plain", "query", "lenient"):
        raise QueryError(f"syntax: expected 'plain', 'query' or 'lenient', found {syntax!r}")
    if syntax == "plain":
        return Query.plain(text)
    clauses = []
    position, refused = _skip(_SPACE, text, 0), 0
    while position < len(text):
        # Escaped spaces join words to one: where that is no clause, no word within it is.
        known = position < refused and not _QUOTE.match(text, position)
        found = None if known else _clause_at(text, position)
        if found is None and syntax == "query":
            raise _mistake(text, position)
        if found is None:
            refused = max(refused, _skip(_SIGNED, text, position) if not known else 0)
            end = _skip(_CHUNK, text, position)
            found = Clause(text[position:end]), end
        clauses.append(found[0])
        position = _skip(_SPACE, text, found[1])
    return Query(tuple(clauses))


def _clause_at(text: str, position: int) -> tuple[Clause, int] | None:
    match = _CLAUSE.match(text, position)
    if not match or not _usable(boost := float(match["boost"] or 1)):
        return None
    quoted = match["body"].startswith('"')
    body = _ESCAPED.sub(r"\1", match["body"][1:-1] if quoted else match["body"])
    return Clause(body, Occur(match["sign"]), quoted, boost), match.end()


def _usable(boost: float) -> bool:
    # Within these bounds no sum of float32 scores overflows, and none vanishes.
    return 1e-6 <= boost <= 1e6


def _mistake(text: str, start: int) -> QueryError:
    """Say what is wrong with the clause that begins at ``start``."""
    begin = start + (text[start] in "+-")
    end = _skip(_BODY, text, begin)
    if end == begin and text.startswith('"', begin):
        return _error(text, len(text), f"the closing quote of character {begin + 1}")
    if end == begin and text[end:] != "\\":
        return _error(text, begin, "a word or a phrase")
    if text[end:] == "\\":
        return _error(text, end + 1, "a character after the backslash")
    if text.startswith("^", end):
        return _error(text, end + 1, "a boost from 0.000001 to 1000000 and then white space")
    return _error(text, end, "white space after the closing quote")


def _error(text: str, position: int, expected: str) -> QueryError:
    chunk = _CHUNK.match(text, position)
    found = f"{chunk[0][:40]!r}" if chunk else "white space" if text[position:] else "the end"
    return QueryError(
        f"query, character {position + 1}: expected {expected}, found {found}; put a backslash "
        "before a sign that is meant as text, or search with syntax='plain'"
    )


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
