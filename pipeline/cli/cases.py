"""Single queries of an evaluation as text: what was gained and lost, and by which document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.cli.output import echo

if TYPE_CHECKING:
    from pipeline.evaluation import Case, Collection, Evaluation

__all__ = ["print_cases"]

_SHOWN = 3  # relevant documents of a query
_WIDTH = 90  # characters of a text


def print_cases(collection: Collection, evaluation: Evaluation, most: int) -> None:
    """Print the queries on which the last system gains and loses most over the first."""
    from pipeline.evaluation import cases

    system, baseline = list(evaluation.systems)[-1], evaluation.baseline
    if system == baseline:
        return
    won, lost = cases(evaluation, system, collection.qrels, most=most)
    wanted = {case.top for case in (*won, *lost)}
    texts = {each.id: each.contents for each in collection.documents() if each.id in wanted}
    about = f"most over {baseline} by {system} ({evaluation.measures[0]})"
    for verb, found in (("gained", won), ("lost", lost)):
        echo(f"{verb} {about}" if found else f"nothing was {verb} over {baseline} by {system}")
        for case in found:
            echo(_shown(case, collection.queries[case.query], texts.get(case.top, "")))
        echo("")


def _shown(case: Case, query: str, text: str) -> str:
    lines = [
        f"  {case.difference:+.4f}  {case.before:.4f} -> {case.after:.4f}  "
        f"{case.query}: {_short(query)}",
        *(
            f"      relevant {move.id}: {_place(move.before)} -> {_place(move.after)}"
            for move in case.moves[:_SHOWN]
        ),
    ]
    if case.top and case.top not in {move.id for move in case.moves}:
        lines.append(f"      first now {case.top}: {_short(text)}")
    return "\n".join(lines)


def _place(place: int | None) -> str:
    return "not found" if place is None else str(place)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else f"{flat[: _WIDTH - 3]}..."
