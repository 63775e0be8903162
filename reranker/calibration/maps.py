"""Scores -> probabilities: three rising functions, each with few or many parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.base import InputError

__all__ = ["MAPS", "CalibrationMap", "Isotonic", "Platt", "Temperature", "sigmoid"]

Floats: TypeAlias = NDArray[np.float64]


class CalibrationMap(Protocol):
    """A function from a score to the probability that the pair is relevant; it never falls."""

    kind: ClassVar[str]

    def __call__(self, scores: Floats) -> Floats:
        """Return (n,) float64 in [0, 1]; NaN where the score is."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Return what makes it, fit for JSON."""
        ...


@dataclass(frozen=True, slots=True)
class Temperature:
    """p = sigmoid(s / T): Guo et al. 2017, "On calibration of modern neural networks".

    Attributes:
        temperature: T, above 0.

    """

    kind: ClassVar[str] = "temperature"
    temperature: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(f"expected a temperature above 0, found {self.temperature}")

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        return sigmoid(scores / self.temperature)

    def parameters(self) -> dict[str, Any]:
        """Return what makes it."""
        return {"temperature": self.temperature}


@dataclass(frozen=True, slots=True)
class Platt:
    """p = sigmoid(a s + b): Platt 1999, "Probabilistic outputs for support vector machines".

    Attributes:
        slope: a, at least 0.
        intercept: b.

    """

    kind: ClassVar[str] = "platt"
    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.intercept]).all() and self.slope >= 0):
            raise InputError(
                f"expected a finite slope of at least 0 and a finite intercept, found {self}"
            )

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        return sigmoid(self.slope * scores + self.intercept)

    def parameters(self) -> dict[str, Any]:
        """Return what makes it."""
        return {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """A rising line through given points, level outside them.

    Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability
    estimates".

    Attributes:
        scores: (p,) float64, rising.
        probabilities: (p,) float64 in [0, 1], never falling.

    """

    kind: ClassVar[str] = "isotonic"
    scores: Floats
    probabilities: Floats

    def __post_init__(self) -> None:
        for name in ("scores", "probabilities"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        rising = (np.diff(self.scores) > 0).all() and (np.diff(self.probabilities) >= 0).all()
        within = ((self.probabilities >= 0) & (self.probabilities <= 1)).all()
        if self.scores.shape != self.probabilities.shape or not len(self.scores):
            raise InputError("expected as many probabilities as scores, at least one")
        if not (rising and within):
            raise InputError("expected rising scores and probabilities from 0 to 1 that never fall")

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        return np.interp(scores, self.scores, self.probabilities)

    def parameters(self) -> dict[str, Any]:
        """Return what makes it."""
        return {"scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}


MAPS: Mapping[str, type[Temperature] | type[Platt] | type[Isotonic]] = {
    made.kind: made for made in (Temperature, Platt, Isotonic)
}


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + e^-x) without overflow."""
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        return np.exp(-np.logaddexp(0.0, -values))
