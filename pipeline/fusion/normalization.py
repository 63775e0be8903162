"""Normalisation of score columns by normalisers that are chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FusionError
from pipeline.fusion import formulas
from pipeline.fusion.formulas import Normalizer
from pipeline.fusion.names import choose, summaries

__all__ = ["Normalization", "normalize", "normalizer", "normalizers"]

Choice: TypeAlias = str | Mapping[str, Any] | Normalizer
Normalization: TypeAlias = Choice | Sequence[Choice]
"""A normaliser: by name, as ``{"name": ..., parameters}``, or itself; or one for each column."""

_NORMALIZERS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "none": formulas.identity,
    "min-max": formulas.min_max,
    "max": formulas.maximum,
    "sum": formulas.share,
    "z-score": formulas.z_score,
    "three-sigma": formulas.three_sigma,
    "rank": formulas.rank,
    "borda": formulas.borda_points,
    "l2": formulas.l2,
    "theoretical-min-max": formulas.theoretical_min_max,
    "sigmoid": formulas.sigmoid,
    "tanh": formulas.tanh,
}


def normalizer(name: str, **parameters: Any) -> Normalizer:
    """Return the normaliser of that name, with its parameters.

    Raises:
        FusionError: when the name or a parameter is unknown.

    """
    return choose("normalizer", _NORMALIZERS, name, parameters)


def normalizers() -> dict[str, str]:
    """Return the names of all normalisers, each with a line on what it is."""
    return summaries(_NORMALIZERS)


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
    chosen = [_normalizer(choice) for choice in choices]
    return np.stack([function(column) for function, column in zip(chosen, columns, strict=True)])


def _normalizer(choice: Choice) -> Normalizer:
    if isinstance(choice, str):
        return normalizer(choice)
    if isinstance(choice, Mapping):
        if "name" not in choice:
            raise FusionError(f"expected a normalizer with a 'name', found {dict(choice)}")
        return normalizer(**choice)
    return choice
