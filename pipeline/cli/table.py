"""A ranking for a terminal: a table that shows what moved where; for a pipe: aligned text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli.output import echo
from pipeline.cli.rows import Row, rows

if TYPE_CHECKING:
    from rich.text import Text

    from pipeline.cli.snippets import Snippets
    from pipeline.ranking import Ranking

__all__ = ["print_ranking"]

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
