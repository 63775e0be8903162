"""A ranking as text: rows with snippets, a table for a terminal, aligned columns for a pipe."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twopass.pipeline.apps.cli.output import echo

if TYPE_CHECKING:
    from rich.text import Text

    from twopass.pipeline.ranking import Ranking
    from twopass.retriever import Retriever


__all__ = [
    "Parts",
    "Row",
    "Snippets",
    "print_ranking",
    "printable",
    "rows",
]


Parts = list[tuple[str, bool]]
"""The parts of a text, each with whether it matches the query."""

_PRE, _POST = "\x02", "\x03"  # not in printable texts
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Snippets:
    """Extracts the best fragment of each document for a query.

    Attributes:
        retriever: it may have the documents' titles (``get``) and mark what matches
            (``highlight``); without them, the start of the text is shown.
        query: the query.
        size: maximum characters.

    """

    retriever: Retriever
    query: str
    size: int = 160

    def cut(self, id: str, text: str, passage: str | None = None) -> tuple[str, Parts]:
        """Return a document's title, empty if it has none, and the fragment of its text to show.

        Args:
            id: the document's.
            text: its text in the hits.
            passage: the part of the text to choose from; by default all of it.

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
        pieces = re.split(f"{_PRE}([^{_POST}]*+){_POST}", marked)
        return [(piece, bool(place % 2)) for place, piece in enumerate(pieces) if piece]


def printable(text: str) -> str:
    """Return a text on one line, without control characters."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(clean.split())


@dataclass(frozen=True, slots=True)
class Row:
    """One hit.

    Attributes:
        rank: from 1.
        before: its rank in the first stage, from 1.
        scores: of the first stage, the second, and fused; "-" if there is none.
        id: the document's id, printable.
        title: its title, printable; may be empty.
        parts: the part of its text that best shows the match.

    """

    rank: int
    before: int
    scores: tuple[str, str, str]
    id: str
    title: str
    parts: Parts

    @property
    def moved(self) -> str:
        """How many ranks it rose or fell."""
        moved = self.before - self.rank
        return f"↑{moved}" if moved > 0 else f"↓{-moved}" if moved < 0 else "="


def rows(ranking: Ranking, snippets: Snippets) -> Iterator[Row]:
    """Yield the hits, best first."""
    for place, id in enumerate(ranking.ids):
        title, parts = snippets.cut(id, ranking.texts[place], _passage(ranking, place))
        scores = (ranking.retrieval[place], ranking.rerank[place], ranking.fused[place])
        retrieval, rerank, fused = (_number(float(score)) for score in scores)
        yield Row(
            rank=place + 1,
            before=int(ranking.retrieval_ranks[place]),
            scores=(retrieval, rerank, fused),
            id=printable(id),
            title=title,
            parts=parts,
        )


def _passage(ranking: Ranking, place: int) -> str | None:
    """Return the passage of a long document that its score comes from, if there are several."""
    span = None if ranking.evidence is None else ranking.evidence[place]
    if span is None or span.passages == 1:
        return None
    return str(ranking.texts[place][span.start : span.end])


def _number(score: float) -> str:
    if math.isnan(score):
        return "-"
    return f"{score:.3f}" if score == 0 or abs(score) >= 1e-3 else f"{score:.1e}"


_SCORES = ("BM25", "rerank", "fused")
_COLOURS = {"↑": "green", "↓": "red", "=": "dim"}
_SNIPPET = 80  # characters, in a pipe


def print_ranking(ranking: Ranking, snippets: Snippets) -> None:
    """Print a ranking on standard output."""
    found = list(rows(ranking, snippets))
    if sys.stdout.isatty():
        _print_table(found)
        echo(_timings(ranking))
    else:
        _print_text(found)


def _print_table(found: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False, header_style="bold")
    for name in ("#", "was", "", *_SCORES):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("document", ratio=1)
    for row in found:
        moved = Text(row.moved, _COLOURS[row.moved[0]])
        table.add_row(str(row.rank), str(row.before), moved, *row.scores, _document(row))
    Console().print(table)


def _document(row: Row) -> Text:
    from rich.text import Text

    snippet = [(part, "bold") if matches else part for part, matches in row.parts]
    return Text.assemble((row.id, "cyan"), "  ", (row.title, "italic"), "\n", *snippet)


def _print_text(found: Sequence[Row]) -> None:
    lines = [
        ("rank", "was", *_SCORES, "id", "text"),
        *((str(row.rank), str(row.before), *row.scores, row.id, _flat(row)) for row in found),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for *numbers, id, text in lines:
        cells = [number.rjust(width) for number, width in zip(numbers, widths, strict=False)]
        echo("  ".join([*cells, id.ljust(widths[-2]), text]))


def _flat(row: Row) -> str:
    text = "".join(part for part, _ in row.parts)
    return f"{row.title} · {text}"[:_SNIPPET] if row.title else text[:_SNIPPET]


def _timings(ranking: Ranking) -> str:
    timings, status = ranking.timings, ranking.status
    parts = [f"BM25 {_time(timings.retrieval)}"]
    if status.outcome != "skipped":
        parts += [
            f"reranking {status.scored:,} {_time(timings.rerank)}",
            f"fusion {_time(timings.fusion)}",
        ]
    return f"{', '.join(parts)}; {_time(timings.total)} in all"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 10 else f"{1000 * seconds:.0f} ms"
