"""Plots of an evaluation, as PNG and SVG, with colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.evaluate import DepthCurve
from twopass.pipeline.evaluation.results import Evaluation
from twopass.reranker.plot_style import COLOURS, INK, series_style

__all__ = ["figure", "plot_depth", "plot_gains"]


@contextmanager
def figure(path: Path, *, width: float = 6.4, height: float = 4.0) -> Iterator[Any]:
    """Give axes to draw on, then write ``path`` with the endings .png and .svg.

    Raises:
        EvaluationError: when matplotlib is not installed.

    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EvaluationError("plots need matplotlib: pip install 'twopass[plot]'") from error
    drawing = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    yield axes
    path.parent.mkdir(parents=True, exist_ok=True)
    for ending, options in ((".png", {"dpi": 160}), (".svg", {"metadata": {"Date": None}})):
        drawing.savefig(path.with_name(path.name + ending), **options)


def plot_depth(curves: Mapping[str, DepthCurve], path: Path) -> None:
    """Plot quality over time per query, with one point per depth.

    Args:
        curves: by system; of one measure.
        path: without an ending.

    """
    with figure(path) as axes:
        for number, (name, curve) in enumerate(curves.items()):
            style = series_style(number)
            axes.plot(1000 * curve.seconds[1:], curve.means[1:], label=name, **style)
            for depth, x, y in list(zip(curve.depths, curve.seconds, curve.means, strict=True))[1:]:
                if number == 0:
                    axes.annotate(
                        f"{depth}", (1000 * x, y), xytext=(0, 6), textcoords="offset points",
                        ha="center", fontsize=8, color=INK,
                    )  # fmt: skip
        [measure] = {curve.measure for curve in curves.values()}
        first = next(iter(curves.values()))
        axes.axhline(first.means[0], color=INK, linestyle=":", linewidth=1)
        axes.annotate(
            "first stage only", (1, first.means[0]), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8, color=INK,
        )  # fmt: skip
        axes.set_xlabel("milliseconds per query (numbers: candidates scored)")
        axes.set_ylabel(measure)
        axes.legend(frameon=False)


def plot_gains(evaluation: Evaluation, system: str, path: Path) -> None:
    """Plot the queries' differences to the first system, sorted, for the first measure."""
    apart = evaluation.values(system)[0] - evaluation.values(evaluation.baseline)[0]
    ordered = np.sort(apart)[::-1]
    better, worse = int((apart > 0).sum()), int((apart < 0).sum())
    with figure(path) as axes:
        places = np.arange(1, len(ordered) + 1)
        for sign, colour, hatch in ((1, COLOURS[0], ""), (-1, COLOURS[1], "////")):
            part = np.where(np.sign(ordered) == sign, ordered, 0.0)
            axes.bar(places, part, width=1.0, color=colour, hatch=hatch, edgecolor="white", lw=0)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(
            f"queries, sorted: {better} better, {len(apart) - better - worse} equal, {worse} worse"
        )
        axes.set_ylabel(f"{evaluation.measures[0]}, {system} - {evaluation.baseline}")
