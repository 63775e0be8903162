"""Scores -> probabilities: three rising functions, and how each is fitted on judged scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError

__all__ = [
    "MAPS",
    "CalibrationMap",
    "Isotonic",
    "Method",
    "Platt",
    "Temperature",
    "fit",
    "sigmoid",
]


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


Method: TypeAlias = Literal["temperature", "platt", "isotonic"]

_STEPS = 100
_ENOUGH = 1e-10


def fit(method: Method, scores: Floats, relevant: NDArray[np.bool_]) -> CalibrationMap:
    """Fit a function by maximum likelihood; the isotonic one by least squares.

    Args:
        method: ``temperature`` (one parameter: how sure), ``platt`` (two: also how often) or
            ``isotonic`` (as many as the data ask for: some thousand pairs, or it learns noise).
        scores: (n,) float64, finite.
        relevant: (n,) bool, some True and some False.

    Raises:
        InputError: when the method is unknown or the data do not do.

    """
    _check(scores, relevant)
    if method == "temperature":
        return _temperature(scores, relevant)
    if method == "platt":
        return _platt(scores, relevant)
    if method == "isotonic":
        return _isotonic(scores, relevant)
    raise InputError(f"expected a method of temperature, platt, isotonic, found {method!r}")


def _check(scores: Floats, relevant: NDArray[np.bool_]) -> None:
    if scores.shape != relevant.shape or scores.ndim != 1:
        raise InputError(
            f"expected a judgement for each score, found {relevant.shape} and {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise InputError("expected finite scores to calibrate by, found NaN or infinity")
    if relevant.all() or not relevant.any():
        raise InputError(
            f"expected relevant and other pairs to calibrate by, found {int(relevant.sum())} "
            f"relevant ones of {len(relevant)}"
        )


def _temperature(scores: Floats, relevant: NDArray[np.bool_]) -> Temperature:
    """Newton's method on log(1 / T), kept to steps of at most one."""
    log_slope = 0.0
    for _ in range(_STEPS):
        z = np.exp(log_slope) * scores
        p = sigmoid(z)
        gradient = float(np.sum((p - relevant) * z))
        curvature = float(np.sum(p * (1 - p) * z * z + (p - relevant) * z))
        step = -gradient / curvature if curvature > 0 else -np.sign(gradient)
        log_slope += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _ENOUGH:
            break
    return Temperature(float(np.exp(-np.clip(log_slope, -50.0, 50.0))))


def _platt(scores: Floats, relevant: NDArray[np.bool_]) -> Platt:
    """Newton's method with line search on Platt's smoothed targets.

    Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs for support vector machines".
    """
    positives, negatives = relevant.sum(), (~relevant).sum()
    targets = np.where(relevant, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([scores, np.ones_like(scores)])  # (2, n)
    found = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    loss = _loss(found @ design, targets)
    for _ in range(_STEPS):
        p = sigmoid(found @ design)
        gradient = design @ (p - targets)
        hessian = (design * (p * (1 - p))) @ design.T + 1e-12 * np.eye(2)
        direction = -np.linalg.solve(hessian, gradient)
        size = 1.0
        while (new := _loss((found + size * direction) @ design, targets)) > loss and size > 1e-10:
            size /= 2
        found, done = found + size * direction, loss - new < _ENOUGH
        loss = new
        if done:
            break
    slope, intercept = found.tolist()
    if slope < 0:
        raise InputError(
            "expected higher scores for relevant pairs, found the opposite: "
            f"a slope of {slope:.3g} over {len(scores)} pairs"
        )
    return Platt(slope, intercept)


def _loss(z: Floats, targets: Floats) -> float:
    return float(np.sum(np.logaddexp(0.0, z) - targets * z))


def _isotonic(scores: Floats, relevant: NDArray[np.bool_]) -> Isotonic:
    """Pool adjacent violators: Ayer et al. 1955; equal scores are one point."""
    points, inverse = np.unique(scores, return_inverse=True)
    weights = np.bincount(inverse).astype(np.float64)
    sums = np.bincount(inverse, weights=relevant)
    blocks: list[tuple[float, float, int]] = []  # weight, sum, points
    for weight, total in zip(weights, sums, strict=True):
        block = (float(weight), float(total), 1)
        while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    sizes = np.array([size for _, _, size in blocks])
    means = np.array([total / weight for weight, total, _ in blocks])
    ends = np.cumsum(sizes)
    edges = np.unique(np.concatenate([ends - sizes, ends - 1]))  # a block's first and last point
    return Isotonic(points[edges], np.repeat(means, sizes)[edges])
