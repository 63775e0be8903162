"""What all fusion methods share: checks of their input, ranks, and how they are chosen by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twopass.pipeline.errors import FusionError

__all__ = [
    "Columns",
    "Fusion",
    "as_columns",
    "as_fused",
    "as_weights",
    "choose",
    "positive",
    "ranks",
    "summaries",
]


Columns: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

Fusion: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Columns (s, n), NaN where a scorer did not score -> (n,) float32, higher is better, NaN for a
document that stays below the others. The first column is the first stage, the last the final
scorer; further opinions, such as a cascade's cheap scorer, stand between them in their order."""


def as_columns(columns: ArrayLike) -> NDArray[np.float64]:
    """Check score columns and return them as (s, n) float64.

    Raises:
        FusionError: when they are not a matrix of at least one row, or one is infinite.

    """
    values = np.asarray(columns, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise FusionError(
            f"expected score columns of shape (scorers, documents), found shape {values.shape}"
        )
    if np.isinf(values).any():
        scorer, document = np.argwhere(np.isinf(values))[0]
        raise FusionError(
            f"expected finite scores (NaN where not scored), found {values[scorer, document]} "
            f"in column {scorer} for document {document}"
        )
    return values


def as_fused(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cast fused scores to float32.

    Raises:
        FusionError: when one is too large for it.

    """
    with np.errstate(over="ignore"):
        fused = values.astype(np.float32)
    if np.isinf(fused).any():
        raise FusionError(
            "fused scores exceed float32: normalise the columns first, or lower the weights"
        )
    return fused


def as_weights(weights: Sequence[float] | None, s: int) -> NDArray[np.float64]:
    """Return (s,) weights; 1/s each where none are given.

    Two weights are the first stage's and the final scorer's: opinions between them then count 0.

    Raises:
        FusionError: when they are not s finite numbers of at least 0, one of them above.

    """
    if weights is None:
        return np.full(s, 1 / s)
    values = np.asarray(weights, dtype=np.float64)
    if values.shape == (2,) and s > 2:
        values = np.concatenate([values[:1], np.zeros(s - 2), values[1:]])
    if values.shape != (s,):
        raise FusionError(f"expected {s} weights, one a score column, found {list(weights)}")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise FusionError(
            f"expected finite weights of at least 0, one of them above, found {list(weights)}"
        )
    return values


def positive(name: str, value: float) -> float:
    """Return the value of a parameter that must be a finite number above zero.

    Raises:
        FusionError: when it is not.

    """
    if not (np.isfinite(value) and value > 0):
        raise FusionError(f"expected {name} above 0, found {value}")
    return value


def ranks(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (s, n) ranks from 1, best first in each column; NaN where not scored.

    Equal scores get successive ranks in the documents' order, which is the first stage's.
    """
    order = np.argsort(-columns, axis=1, kind="stable")  # NaN goes last
    result = np.empty_like(columns)
    np.put_along_axis(result, order, np.arange(1.0, columns.shape[1] + 1)[None, :], axis=1)
    result[np.isnan(columns)] = np.nan
    return result


R = TypeVar("R")


def choose(
    kind: str, table: Mapping[str, Callable[..., R]], name: str, parameters: Mapping[str, Any]
) -> Callable[..., R]:
    """Return the function of that name in the table with its keyword parameters bound.

    Raises:
        FusionError: when the name or a parameter is unknown, or a required one is missing.

    """
    if name not in table:
        raise FusionError(f"unknown {kind} {name!r}: expected one of {', '.join(table)}")
    known = _parameters(table[name])
    for parameter in parameters:
        if parameter not in known:
            raise FusionError(
                f"unknown parameter {parameter!r} of {kind} {name!r}: "
                f"expected {', '.join(known) or 'none'}"
            )
    for parameter, default in known.items():
        if default is inspect.Parameter.empty and parameter not in parameters:
            raise FusionError(f"{kind} {name!r} needs the parameter {parameter!r}")
    return partial(table[name], **parameters)


def summaries(table: Mapping[str, Callable[..., Any]]) -> dict[str, str]:
    """Say in a line what each function of the table is."""
    return {name: (function.__doc__ or "").split("\n\n")[0] for name, function in table.items()}


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's parameters after its first."""
    _, *parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}
