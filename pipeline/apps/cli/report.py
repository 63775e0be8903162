"""Reports of evaluations: tables of measures, and the queries with the largest differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from twopass.pipeline.apps.cli.output import coloured, columns, echo, wrapped

if TYPE_CHECKING:
    from twopass.pipeline.evaluation import Case, Collection, Evaluation

__all__ = [
    "mean_rows",
    "print_cases",
    "report",
    "report_means",
]


_SIGNIFICANT = 0.05
_GAP = 2

_Block: TypeAlias = list[tuple[str, str]]
"""One measure's cells, value and difference, its name first."""


def report(evaluation: Evaluation, *, sampled: bool = False) -> str:
    """Return a table of values, and differences to the first system, by system and measure.

    Args:
        evaluation: the evaluation.
        sampled: whether its queries are a random sample.

    """
    table = _table(evaluation.rows(), evaluation.measures)
    return f"{table}\n\n{_about(evaluation, sampled=sampled)}"


def report_means(found: Sequence[tuple[str, Evaluation]]) -> str:
    """Return a table of unweighted means over several collections."""
    table = _table(mean_rows(found), found[0][1].measures)
    return f"mean of {len(found)} sets\n{table}"


def mean_rows(found: Sequence[tuple[str, Evaluation]]) -> list[dict[str, Any]]:
    """Return a row per system, as ``Evaluation.rows`` does, of means over the collections."""
    measures = found[0][1].measures
    return [
        {"system": rows[0]["system"], **{name: _mean(rows, name) for name in measures}}
        for rows in zip(*(evaluation.rows() for _, evaluation in found), strict=True)
    ]


def _mean(rows: Sequence[dict[str, Any]], measure: str) -> dict[str, float | None]:
    def mean(key: str) -> float | None:
        values = [row[measure][key] for row in rows]
        return None if None in values else sum(values) / len(values)

    return {"value": mean("value"), "difference": mean("difference"), "p_value": None}


def _table(systems: Sequence[dict[str, Any]], measures: Sequence[str]) -> str:
    """Return a table with as many measures side by side as fit, then the others below."""
    names = ["", *(row["system"] for row in systems)]
    blocks = [[(name, ""), *(_cells(row[name]) for row in systems)] for name in measures]
    parts = _parts(blocks, columns() - max(map(len, names)))
    return "\n\n".join("\n".join(_lines(names, part)) for part in parts)


def _cells(cell: dict[str, Any]) -> tuple[str, str]:
    if cell["difference"] is None:
        return f"{cell['value']:.4f}", ""
    star = "*" if _is_significant(cell) else " "
    return f"{cell['value']:.4f}", f"{cell['difference']:+.4f}{star}"


def _is_significant(cell: dict[str, Any]) -> bool:
    return cell["p_value"] is not None and cell["p_value"] < _SIGNIFICANT


def _parts(blocks: Sequence[_Block], room: int) -> Iterator[list[_Block]]:
    part: list[_Block] = []
    used = 0
    for block in blocks:
        size = sum(width + _GAP for width in _widths(block))
        if part and used + size > room:
            yield part
            part, used = [], 0
        part.append(block)
        used += size
    yield part


def _widths(block: _Block) -> tuple[int, int]:
    values, differences = zip(*block, strict=True)
    return max(map(len, values)), max(map(len, differences))


def _lines(names: Sequence[str], part: Sequence[_Block]) -> Iterator[str]:
    first = max(map(len, names))
    for row, name in enumerate(names):
        cells = [name.ljust(first)]
        for block in part:
            (value, difference), (left, right) = block[row], _widths(block)
            cells += [value.ljust(left), _painted(difference, right)]
        yield (" " * _GAP).join(cells).rstrip()


def _painted(difference: str, width: int) -> str:
    """Colour significant differences, which have a star as well."""
    text = difference.ljust(width)
    if not difference.endswith("*"):
        return text
    return coloured(text, "green" if difference.startswith("+") else "red")


def _about(evaluation: Evaluation, *, sampled: bool) -> str:
    drawn = " drawn at random (seed 12)" if sampled else ""
    lines = [f"{len(evaluation.queries):,} queries{drawn}"]
    if timings := evaluation.timings:
        lines[0] += f", {1000 * timings.retrieval:.1f} ms per query to retrieve"
    if len(evaluation.systems) > 1:
        if timings:
            lines[0] += f" and {1000 * timings.rerank:.1f} ms to rerank {evaluation.depth:,}"
        lines.append(
            f"differences to {evaluation.baseline}; *: p < {_SIGNIFICANT} by a paired "
            "randomisation test, corrected (Holm) for the systems compared"
        )
    if evaluation.depth is not None:
        lines.append(
            "relevant documents that the first stage missed were "
            + ("added to its candidates" if evaluation.missed_added else "not added")
        )
    return wrapped("\n".join(lines))


_SHOWN = 3  # relevant documents of a query
_WIDTH = 90  # characters of a text


def print_cases(collection: Collection, evaluation: Evaluation, most: int) -> None:
    """Print the queries on which the last system gains and loses most over the first."""
    from twopass.pipeline.evaluation import cases

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
