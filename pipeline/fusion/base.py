"""What all fusion methods share: the registers of their names, checks of their input, ranks.

A method or a normaliser registers itself where it is defined; its docstring's first line is its
summary, its keyword arguments are its parameters::

    @method("best-of")
    def best_of(columns: Columns, *, scale: float = 1.0) -> NDArray[np.float32]:
        "Take the best score of each document."
        return as_fused(scale * np.fmax.reduce(as_columns(columns)))

Another distribution adds a method by an entry point of the group ``twopass.fusions``: its name is
the method's, its object the function.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twopass.pipeline.errors import FusionError

__all__ = [
    "METHODS",
    "NORMALIZERS",
    "Columns",
    "Fusion",
    "Register",
    "as_columns",
    "as_fused",
    "as_weights",
    "by_number",
    "method",
    "positive",
    "ranks",
]

_LOG = logging.getLogger(__name__)

Columns: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

Fusion: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Columns (s, n), NaN where a scorer did not score -> (n,) float32, higher is better, NaN for a
document that stays below the others. The first column is the first stage, the last the final
scorer; further opinions, such as a cascade's first scorer, stand between them in their order."""


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


def by_number(fusions: Mapping[int, Fusion], other: Fusion) -> Fusion:
    """Return the fusion that is ``fusions[s]`` for ``s`` columns, and ``other`` for another s."""
    return lambda columns: fusions.get(len(columns), other)(columns)


F = TypeVar("F", bound=Callable[..., Any])


class Register:
    """Functions by name.

    Args:
        kind: what they are called in messages.
        group: the entry points by which other distributions add theirs, loaded once: at the first
            unknown name or listing.

    """

    def __init__(self, kind: str, group: str) -> None:
        self._kind = kind
        self._group = group
        self._functions: dict[str, Callable[..., Any]] = {}
        self._loaded = False

    def add(self, name: str) -> Callable[[F], F]:
        """Return the decorator that registers a function by that name.

        Raises:
            FusionError: when another function has the name.

        """

        def register(function: F) -> F:
            known = self._functions.get(name, function)
            if _home(known) != _home(function):  # but a notebook's cell may run again
                raise FusionError(f"expected a new name for a {self._kind}, found {name!r} again")
            self._functions[name] = function
            return function

        return register

    def choose(self, name: str, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        """Return the function of that name with its keyword parameters bound.

        Raises:
            FusionError: when the name or a parameter is unknown, or a required one is missing.

        """
        if name not in self._functions:
            self._load()
        if name not in self._functions:
            names = ", ".join(sorted(self._functions))
            raise FusionError(f"unknown {self._kind} {name!r}: expected one of {names}")
        known = _parameters(self._functions[name])
        for parameter in parameters:
            if parameter not in known:
                raise FusionError(
                    f"unknown parameter {parameter!r} of {self._kind} {name!r}: "
                    f"expected {', '.join(known) or 'none'}"
                )
        for parameter, default in known.items():
            if default is inspect.Parameter.empty and parameter not in parameters:
                raise FusionError(f"{self._kind} {name!r} needs the parameter {parameter!r}")
        return partial(self._functions[name], **parameters)

    def summaries(self) -> dict[str, str]:
        """Return all names, each with the first paragraph of its function's docstring."""
        self._load()
        return {
            name: inspect.cleandoc(function.__doc__ or "").split("\n\n")[0]
            for name, function in self._functions.items()
        }

    def _load(self) -> None:
        """Add other distributions' functions; one that fails is logged and left out."""
        if self._loaded:
            return
        self._loaded = True
        for entry in entry_points(group=self._group):
            try:
                self.add(entry.name)(entry.load())
            except Exception as error:
                _LOG.warning("%s %r cannot be loaded: %s", self._kind, entry.value, error)


def _home(function: Callable[..., Any]) -> tuple[str, str]:
    return getattr(function, "__module__", ""), getattr(function, "__qualname__", "")


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's parameters after its first."""
    _, *parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


METHODS = Register("fusion method", "twopass.fusions")
NORMALIZERS = Register("normalizer", "twopass.normalizers")
method = METHODS.add
