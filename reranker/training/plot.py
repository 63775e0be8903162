"""A plot of a training: loss and measures by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twopass.reranker.contract.errors import RecipeError
from twopass.reranker.plot_style import INK, series_style

__all__ = ["plot_log"]

_OWN = {"step", "epoch", "loss", "rate", "seconds"}


def plot_log(
    log: Sequence[Mapping[str, Any]], path: Path, *, baselines: Mapping[str, float] | None = None
) -> None:
    """Draw loss (left) and measures (right) by step; a baseline is a dotted line.

    Args:
        log: the lines of a training's log.
        path: a file, as .svg or .png.
        baselines: what the first stage has, by the measure's name.

    Raises:
        RecipeError: when matplotlib is not installed.

    """
    if find_spec("matplotlib") is None:
        raise RecipeError(
            "plot: expected matplotlib, which is not installed; pip install 'twopass[train]'"
        )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [(line["step"], line["loss"]) for line in log if "loss" in line]
    left.plot(*zip(*losses, strict=True), color=INK)
    left.set(xlabel="step", ylabel="loss", title="training")
    _draw_measures(right, log, baselines or {})
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)


def _draw_measures(
    axes: Any, log: Sequence[Mapping[str, Any]], baselines: Mapping[str, float]
) -> None:
    """Draw each measure, and each baseline once."""
    names = list(dict.fromkeys(name for line in log for name in line if name not in _OWN))
    drawn: set[float] = set()
    for number, name in enumerate(names):
        points = [(line["step"], line[name]) for line in log if name in line]
        style = series_style(number)
        axes.plot(*zip(*points, strict=True), label=name, **style)
        if name in baselines and baselines[name] not in drawn:
            drawn.add(baselines[name])
            axes.axhline(baselines[name], linestyle=":", color=style["color"])
    axes.set(xlabel="step", title="development queries")
    if drawn:
        axes.plot([], [], linestyle=":", color=INK, label="first stage")
    if names:
        # below both axes, where it hides no line
        axes.figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
