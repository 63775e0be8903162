"""Normalisers: one column of scores onto a scale that columns can share, and their names.

Each takes (n,) float64, finite or NaN where not scored, in the first stage's order, and returns
the same shape; NaN stays NaN, except in ``borda``, which has a value for it. All keep the order
of a column. What a column without differences becomes is said in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion.base import NORMALIZERS, positive, ranks

__all__ = [
    "Normalization",
    "Normalizer",
    "normalize",
    "normalizer",
    "normalizers",
    "sigmoid",
    "theoretical_min_max",
    "three_sigma",
]


Column: TypeAlias = NDArray[np.float64]
Normalizer: TypeAlias = Callable[[Column], Column]
P = ParamSpec("P")


def _of_scored(
    function: Callable[Concatenate[Column, P], Column],
) -> Callable[Concatenate[Column, P], Column]:
    """Apply a formula to the scores that are there, and keep NaN where it is."""

    @wraps(function)
    def normalizer(scores: Column, /, *args: P.args, **kwargs: P.kwargs) -> Column:
        scored = ~np.isnan(scores)
        result = np.full(scores.shape, np.nan)
        if scored.any():
            result[scored] = function(scores[scored], *args, **kwargs)
        return result

    return normalizer


@NORMALIZERS.add("none")
def identity(scores: Column) -> Column:
    """``s``: scores as they are."""
    return scores


@NORMALIZERS.add("min-max")
@_of_scored
def min_max(scores: Column) -> Column:
    """``(s - min) / (max - min)``, in [0, 1]; a constant column becomes 1.

    The lone hit of a list is its best one: with 0 it would count as if it were not in the list.
    OpenSearch's hybrid search decides alike; ranx gives 0.
    """
    low, high = float(scores.min()), float(scores.max())
    return np.ones_like(scores) if low == high else (scores - low) / (high - low)


@NORMALIZERS.add("max")
@_of_scored
def maximum(scores: Column) -> Column:
    """``s / max``, in [0, 1], for scores of at least 0; a column of zeros stays zero.

    Raises:
        FusionError: when a score is negative: the quotient could turn the order round.

    """
    if scores.min() < 0:
        raise FusionError(
            f"normaliser 'max' expects scores of at least 0, found {scores.min():g}: "
            "use 'min-max' or, for logits, 'sigmoid'"
        )
    high = float(scores.max())
    return scores / high if high > 0 else np.zeros_like(scores)


@NORMALIZERS.add("sum")
@_of_scored
def share(scores: Column) -> Column:
    """``(s - min) / sum(s - min)``, which adds up to 1; a constant column becomes 1/n."""
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return np.full_like(scores, 1 / len(scores))
    gains = (scores - low) / (high - low)
    return gains / float(gains.sum())


@NORMALIZERS.add("z-score")
@_of_scored
def z_score(scores: Column) -> Column:
    """``(s - mean) / sd``, sd of the population (ZMUV); a constant column becomes 0."""
    if scores.min() == scores.max():
        return np.zeros_like(scores)
    return (scores - float(scores.mean())) / float(scores.std())


@NORMALIZERS.add("three-sigma")
@_of_scored
def three_sigma(scores: Column) -> Column:
    """``(s - (mean - 3 sd)) / (6 sd)`` cut to [0, 1]; a constant column becomes 0.5.

    Source: distribution-based score fusion (Mazzeschi 2023), sd of the population. Qdrant takes
    the sample's (n - 1) and does not cut; a constant column becomes 0.5 there as well.
    """
    return np.clip(z_score(scores) / 6 + 0.5, 0.0, 1.0)


@NORMALIZERS.add("l2")
@_of_scored
def l2(scores: Column) -> Column:
    """``s / sqrt(sum(s^2))``; a column of zeros stays zero."""
    norm = float(np.linalg.norm(scores))
    return scores / norm if norm > 0 else np.zeros_like(scores)


@NORMALIZERS.add("theoretical-min-max")
@_of_scored
def theoretical_min_max(scores: Column, infimum: float = 0.0) -> Column:
    """``(s - inf) / (max - inf)``, inf the least score that the scorer can give.

    Where nothing is above the infimum, all become 0. BM25 and a probability have the infimum 0;
    a logit has none.

    Source: Bruch, Gai & Ingber 2022, "An Analysis of Fusion Functions for Hybrid Retrieval"
    (arXiv:2210.11934).

    Raises:
        FusionError: when a score lies below the infimum.

    """
    if scores.min() < infimum:
        raise FusionError(
            f"normaliser 'theoretical-min-max' expects scores of at least {infimum:g}, "
            f"found {scores.min():g}: set 'infimum' or, for logits, use 'sigmoid'"
        )
    span = float(scores.max()) - infimum
    return (scores - infimum) / span if span > 0 else np.zeros_like(scores)


@NORMALIZERS.add("rank")
@_of_scored
def rank(scores: Column) -> Column:
    """``1 - (r - 1) / n``, r the rank and n the number of scored documents."""
    return np.asarray(1 - (ranks(scores[None, :])[0] - 1) / len(scores))


@NORMALIZERS.add("borda")
def borda_points(scores: Column) -> Column:
    """``1 - (r - 1) / pool``, pool the number of documents.

    A document that is not scored gets the mean of the points left over,
    ``1/2 - (n - 1) / (2 pool)``, n the number of scored documents.

    Source: Renda & Straccia 2003, "Web metasearch: rank vs. score based rank aggregation methods".
    """
    pool, n = len(scores), int(np.count_nonzero(~np.isnan(scores)))
    points = np.asarray(1 - (ranks(scores[None, :])[0] - 1) / max(pool, 1))
    points[np.isnan(scores)] = 0.5 - (n - 1) / (2 * max(pool, 1))
    return points


@NORMALIZERS.add("sigmoid")
def sigmoid(scores: Column, center: float = 0.0, temperature: float = 1.0) -> Column:
    """``1 / (1 + exp(-(s - center) / temperature))``: a logit as a probability.

    Raises:
        FusionError: when the temperature is not above 0.

    """
    x = (scores - center) / positive("temperature", temperature)
    small = np.exp(-np.abs(x))  # never above 1
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


@NORMALIZERS.add("tanh")
def tanh(scores: Column) -> Column:
    """``(tanh(s) + 1) / 2``."""
    return (np.tanh(scores) + 1) / 2


Choice: TypeAlias = str | Mapping[str, Any] | Normalizer
Normalization: TypeAlias = Choice | Sequence[Choice]
"""A normaliser: by name, as ``{"name": ..., parameters}``, or itself; or one for each column."""


def normalizer(name: str, **parameters: Any) -> Normalizer:
    """Return the normaliser of that name, with its parameters.

    Raises:
        FusionError: when the name or a parameter is unknown.

    """
    return NORMALIZERS.choose(name, parameters)


def normalizers() -> dict[str, str]:
    """Return the names of all normalisers, each with a line on what it is."""
    return NORMALIZERS.summaries()


def normalize(columns: NDArray[np.float64], normalization: Normalization) -> NDArray[np.float64]:
    """Normalise each of (s, n) columns.

    Raises:
        FusionError: when a normaliser is unknown, does not fit the scores, or when there is
            neither one for all columns nor one for each.

    """
    if isinstance(normalization, str | Mapping) or callable(normalization):
        choices: Sequence[Choice] = [normalization] * len(columns)
    else:
        choices = normalization
    if len(choices) != len(columns):
        raise FusionError(
            f"expected one normalizer, or {len(columns)}, one a score column, found {len(choices)}"
        )
    chosen = [_chosen(choice) for choice in choices]
    return np.stack([function(column) for function, column in zip(chosen, columns, strict=True)])


def _chosen(choice: Choice) -> Normalizer:
    if isinstance(choice, str):
        return normalizer(choice)
    if isinstance(choice, Mapping):
        if "name" not in choice:
            raise FusionError(f"expected a normalizer with a 'name', found {dict(choice)}")
        return normalizer(**choice)
    return choice
