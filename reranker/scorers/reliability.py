"""How well probabilities keep their word."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError
from twopass.reranker.plot_style import series_style
from twopass.reranker.scorers.calibration_curves import Floats

__all__ = ["Reliability", "draw", "reliability"]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Probabilities in bins of equal width, beside what came true.

    Attributes:
        said: (b,) float64: the mean probability of each bin; NaN where it is empty.
        found: (b,) float64: the share of relevant pairs in it; NaN where it is empty.
        counts: (b,) int64: its pairs.

    """

    said: Floats
    found: Floats
    counts: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of said and found, by pairs.

        Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
        """
        distance = np.nan_to_num(np.abs(self.said - self.found))
        return float(np.average(distance, weights=self.counts))


def reliability(probabilities: Floats, relevant: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Sort pairs into bins by their probability.

    Args:
        probabilities: (n,) in [0, 1], at least one.
        relevant: (n,) bool.
        bins: how many.

    Raises:
        InputError: when there is no pair, or a number is no probability.

    """
    if not len(probabilities) or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError("expected probabilities from 0 to 1, at least one")
    places = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        said = np.bincount(places, weights=probabilities, minlength=bins) / counts
        found = np.bincount(places, weights=relevant, minlength=bins) / counts
    return Reliability(said, found, counts)


def draw(path: str | PathLike[str], curves: dict[str, Reliability]) -> None:
    """Write a reliability diagram of each curve; the format is the file ending's.

    Raises:
        InputError: when matplotlib is not installed.

    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("a plot needs matplotlib: pip install 'twopass[plot]'") from error
    figure = Figure(figsize=(6, 6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    above.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as said")
    for number, (name, curve) in enumerate(curves.items()):
        _draw_curve(above, below, name, curve, series_style(number))
    above.set(ylabel="share that is relevant", xlim=(0, 1), ylim=(0, 1))
    above.legend(frameon=False)
    below.set(xlabel="probability", ylabel="pairs", yscale="log")
    figure.savefig(path)


def _draw_curve(
    above: Any, below: Any, name: str, curve: Reliability, style: dict[str, Any]
) -> None:
    full = curve.counts > 0
    label = f"{name}: error {curve.error:.3f}"
    above.plot(curve.said[full], curve.found[full], label=label, **style)
    edges = np.linspace(0, 1, len(curve.counts) + 1)
    below.stairs(curve.counts, edges, color=style["color"], linestyle=style["linestyle"])
