"""Fusion of scores: each method takes columns (s, n) and returns (n,) float32.

Combined are the normalised scores that a document has; it gets NaN where it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion.base import Columns, as_columns, as_fused, as_weights, method
from twopass.pipeline.fusion.normalization import (
    Normalization,
    normalize,
    sigmoid,
    theoretical_min_max,
    three_sigma,
)

__all__ = ["Missing", "RescoreMode", "dbsf", "reranker", "tm2c2", "weighted"]

Missing: TypeAlias = Literal["below", "zero"]
"""A document that a column of weight above 0 lacks: below all others, or that column adds 0."""

RescoreMode: TypeAlias = Literal["total", "avg", "max", "min", "multiply"]

_LEAST_ODDS = 1e-7  # a float32 probability comes no closer to 1 than this


@method("reranker")
def reranker(columns: Columns) -> NDArray[np.float32]:
    """Take the last column, the cross-encoder's score.

    What it did not score stays below, in the first stage's order.
    """
    return as_fused(as_columns(columns)[-1])


@method("weighted")
def weighted(
    columns: Columns,
    *,
    weights: Sequence[float] | None = None,
    normalizer: Normalization = "min-max",
    missing: Missing = "below",
) -> NDArray[np.float32]:
    """Add up normalised scores by weight: ``sum w s~``, the convex combination.

    Args:
        columns: (s, n) scores.
        weights: (s,) at least 0, need not add up to 1; equal where none are given; two are those
            of the first column and the last, and the others have no say.
        normalizer: one for all columns, or one for each.
        missing: ``below``: a sum that lacks a part cannot be compared with a whole one, so the
            document stays below those that have all; ``zero``: the missing part adds nothing.

    Raises:
        FusionError: when columns, weights or normaliser cannot be used.

    """
    values = as_columns(columns)
    if weights is not None and len(values) > 2 == len(weights):
        values = _ends(values, "weighted")
    return _sum(normalize(values, normalizer), as_weights(weights, len(values)), missing)


@method("tm2c2")
def tm2c2(
    columns: Columns, *, alpha: float = 0.8, logits: bool = False, missing: Missing = "below"
) -> NDArray[np.float32]:
    """Combine with theoretical minima: ``alpha f(CE) + (1 - alpha) f(BM25)``, f = s / max.

    Source: Bruch, Gai & Ingber 2022 (arXiv:2210.11934), which take the least score that a scorer
    can give in place of the list's minimum, and find alpha 0.8 good throughout. Both infima are
    0 here, so that a cross-encoder's logits must become probabilities first: ``logits``.

    Args:
        columns: (2, n) BM25 scores, and probabilities or logits; of more the first and the last.
        alpha: the second column's weight, 0 to 1.
        logits: whether the second column holds logits, to be put through the sigmoid.
        missing: see ``weighted``.

    Raises:
        FusionError: when there is one column, one is negative, or alpha is out of bounds.

    """
    first, second = _ends(as_columns(columns), "tm2c2")
    if not 0 <= alpha <= 1:
        raise FusionError(f"expected alpha from 0 to 1, found {alpha}")
    scaled = np.stack(
        [theoretical_min_max(first), theoretical_min_max(sigmoid(second) if logits else second)]
    )
    return _sum(scaled, np.array([1 - alpha, alpha]), missing)


@method("log-odds")
def log_odds(
    columns: Columns,
    *,
    weights: Sequence[float] | None = None,
    calibration: Normalization = "none",
    missing: Missing = "below",
) -> NDArray[np.float32]:
    """Add up evidence: ``sum w log(p / (1 - p))`` of calibrated probabilities p.

    Source: naive Bayes; as fusion of searches, Bayesian BM25's log-odds conjunction.

    Args:
        columns: (s, n) probabilities, or scores that ``calibration`` turns into such.
        weights: (s,) at least 0; 1/s each where none are given, which is the mean.
        calibration: normalisers onto 0..1, for example
            ``[{"name": "sigmoid", "center": 10, "temperature": 3}, "none"]``.
        missing: see ``weighted``; 0 are even odds.

    Raises:
        FusionError: when a calibrated score is not a probability.

    """
    p = normalize(as_columns(columns), calibration)
    if ((p < 0) | (p > 1)).any():
        raise FusionError(
            f"log-odds expects probabilities, found scores from {np.nanmin(p):g} to "
            f"{np.nanmax(p):g}: give 'calibration', for logits ['sigmoid', ...]"
        )
    p = np.clip(p, _LEAST_ODDS, 1 - _LEAST_ODDS)  # one scorer's certainty is not infinite
    return _sum(np.log(p) - np.log1p(-p), as_weights(weights, len(p)), missing)


@method("rescore")
def rescore(
    columns: Columns,
    *,
    mode: RescoreMode = "total",
    query_weight: float = 1.0,
    rescore_query_weight: float = 1.0,
) -> NDArray[np.float32]:
    """Rescore as Elasticsearch does: ``query_weight s1 (mode) rescore_query_weight s2``.

    Source: Elasticsearch, "Rescore search results": score_mode total, avg, max, min, multiply.
    As there, a document that was not rescored keeps ``query_weight s1`` and takes part.

    Raises:
        FusionError: when there is one column, or the mode is unknown.

    """
    first, second = _ends(as_columns(columns), "rescore")
    if mode not in _MODES:
        raise FusionError(f"unknown rescore mode {mode!r}: expected one of {', '.join(_MODES)}")
    if not np.isfinite([query_weight, rescore_query_weight]).all():
        raise FusionError(
            f"expected finite weights, found {query_weight} and {rescore_query_weight}"
        )
    first, second = query_weight * first, rescore_query_weight * second
    return as_fused(np.where(np.isnan(second), first, _MODES[mode](first, second)))


_MODES: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]] = {
    "total": np.add,
    "avg": lambda first, second: (first + second) / 2,
    "max": np.maximum,
    "min": np.minimum,
    "multiply": np.multiply,
}


def _ends(values: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Return the first and the last column: opinions between them have no say."""
    if len(values) < 2:
        raise FusionError(f"{method} fuses two score columns, found {len(values)}")
    return values[[0, -1]]


def _sum(
    values: NDArray[np.float64], weights: NDArray[np.float64], missing: Missing
) -> NDArray[np.float32]:
    """Add up (s, n) values by (s,) weights; a column of weight 0 has no say, nor have its gaps."""
    if missing not in ("below", "zero"):
        raise FusionError(f"unknown rule missing={missing!r}: expected 'below' or 'zero'")
    values, weights = values[weights > 0], weights[weights > 0]
    absent = np.isnan(values)
    total = weights @ np.where(absent, 0.0, values)
    lacking = absent.any(axis=0) if missing == "below" else absent.all(axis=0)
    return as_fused(np.where(lacking, np.nan, total))


@method("comb-sum")
def comb_sum(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombSUM (Fox & Shaw 1994): the sum of a document's normalised scores."""
    return _combine(columns, normalizer, np.nansum)


@method("comb-max")
def comb_max(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMAX (Fox & Shaw 1994): the best of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmax)


@method("comb-min")
def comb_min(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMIN (Fox & Shaw 1994): the worst of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmin)


@method("comb-med")
def comb_med(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMED (Fox & Shaw 1994): the median of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmedian)


@method("comb-anz")
def comb_anz(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombANZ (Fox & Shaw 1994): the mean of a document's normalised scores."""
    return _combine(columns, normalizer, np.nanmean)


@method("comb-mnz")
def comb_mnz(columns: Columns, *, normalizer: Normalization = "min-max") -> NDArray[np.float32]:
    """Fuse by CombMNZ (Fox & Shaw 1994): ``n sum s~``, n the number of columns that scored it."""
    return comb_gmnz(columns, gamma=1.0, normalizer=normalizer)


@method("comb-gmnz")
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


@method("dbsf")
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
