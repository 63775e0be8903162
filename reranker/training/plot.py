"""The course of a training as a picture: loss and measures by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reranker.training.errors import RecipeError

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

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [(line["step"], line["loss"]) for line in log if "loss" in line]
    left.plot(*zip(*losses, strict=True), color="#7a7a7a")
    left.set(xlabel="step", title="training loss")
    names = list(dict.fromkeys(name for line in log for name in line if name not in _OWN))
    for number, name in enumerate(names):
        points = [(line["step"], line[name]) for line in log if name in line]
        right.plot(*zip(*points, strict=True), marker=".", label=name, color=f"C{number}")
        if baselines and name in baselines:
            right.axhline(baselines[name], linestyle=":", color=f"C{number}")
    right.set(xlabel="step", title="development queries (dotted: first stage)")
    if names:
        right.legend(frameon=False, fontsize="small")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
