"""How series differ in every plot: by colour, marker and line.

The colours are those of Okabe and Ito (2008), which people with any kind of colour
vision can distinguish; markers and lines say the same in grey.
"""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "INK", "series_style"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#444444"  # of what is no series: baselines and notes
_MARKERS = "osD^vPX"
_LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))  # dotted lines are baselines


def series_style(number: int) -> dict[str, Any]:
    """Return what matplotlib draws the series of that number by."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _LINES[number % len(_LINES)],
        "markersize": 5,
        "linewidth": 1.5,
    }
