"""Fusion of lists that overlap in part: each method takes columns (s, n), returns (n,) float32.

Combined are the normalised scores that a document has; it gets NaN where it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FusionError
from pipeline.fusion.columns import Columns, as_columns, as_fused
from pipeline.fusion.formulas import three_sigma
from pipeline.fusion.normalization import Normalization, normalize

__all__ = [
    "comb_anz",
    "comb_gmnz",
    "comb_max",
    "comb_med",
    "comb_min",
    "comb_mnz",
    "comb_sum",
    "dbsf",
]


def comb_sum(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombSUM (Fox & Shaw 1994): the sum of a document's normalised scores."""
    return _combine(columns, normalizer, np.nansum)


def comb_max(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMAX (Fox & Shaw 1994): the best of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmax)


def comb_min(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMIN (Fox & Shaw 1994): the worst of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmin)


def comb_med(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMED (Fox & Shaw 1994): the median of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmedian)


def comb_anz(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombANZ (Fox & Shaw 1994): the mean of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmean)


def comb_mnz(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMNZ (Fox & Shaw 1994): ``n sum s~``, n the number of columns that scored it."""
    return comb_gmnz(columns, gamma=1.0, normalizer=normalizer)


def comb_gmnz(
    columns: Columns, *, gamma: float, normalizer: Normalization = "min-max"
) -> NDArray[np.float32]:
    """Fuse by CombGMNZ (Lee 1997): ``n^gamma sum s~``; gamma 0 is CombSUM, 1 is CombMNZ.

    Raises:
        FusionError: when gamma is not finite, or a normaliser does not fit the scores.

    """
    if not np.isfinite(gamma):
        raise FusionError(f"expected a finite gamma, found {gamma}")
    values = as_columns(columns)
    n = np.count_nonzero(~np.isnan(values), axis=0).astype(np.float64)
    boost = np.where(n > 0, np.maximum(n, 1) ** gamma, np.nan)
    return as_fused(boost * np.nansum(normalize(values, normalizer), axis=0))


def dbsf(columns: Columns) -> NDArray[np.float32]:
    """Fuse by distribution: sum of scores scaled from mean - 3 sd .. mean + 3 sd to 0 .. 1.

    Source: Mazzeschi 2023, "Distribution-Based Score Fusion"; as in Qdrant, a missing score adds
    nothing. The normaliser "three-sigma" says in what Qdrant differs.
    """
    return _combine(columns, three_sigma, np.nansum)


def _combine(
    columns: Columns, normalization: Normalization, combine: Callable[..., Any]
) -> NDArray[np.float32]:
    """Combine the normalised scores that each document has; NaN where it has none."""
    values = normalize(as_columns(columns), normalization)
    found = ~np.isnan(values).all(axis=0)
    fused = np.full(values.shape[1], np.nan)
    if found.any():
        fused[found] = combine(values[:, found], axis=0)
    return as_fused(fused)
