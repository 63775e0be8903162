"""An evaluation as a table of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.evaluation import Evaluation

__all__ = ["report"]

_SIGNIFICANT = 0.05


def report(evaluation: Evaluation) -> str:
    """Lay out values, and differences to the first system, by system and measure."""
    rows = [["", *(cell for name in evaluation.measures for cell in (name, ""))]]
    for system in evaluation.rows():
        cells = [_cells(**system[name]) for name in evaluation.measures]
        rows.append([system["system"], *(text for pair in cells for text in pair)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", _about(evaluation)])


def _cells(value: float, difference: float | None, p_value: float | None) -> tuple[str, str]:
    if difference is None or p_value is None:
        return f"{value:.4f}", ""
    return f"{value:.4f}", f"{difference:+.4f}{'*' if p_value < _SIGNIFICANT else ' '}"


def _about(evaluation: Evaluation) -> str:
    lines = [f"{len(evaluation.queries):,} queries"]
    if timings := evaluation.timings:
        lines[0] += f", {1000 * timings.retrieval:.1f} ms each to retrieve"
    if len(evaluation.systems) > 1:
        if timings:
            lines[0] += f" and {1000 * timings.rerank:.1f} ms to rerank {evaluation.depth:,}"
        lines.append(
            f"differences to {evaluation.baseline}; *: p < {_SIGNIFICANT} by a paired "
            "randomisation test"
        )
    return "\n".join(lines)
