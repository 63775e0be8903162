"""Results of an evaluation: values by system, measure and query, and significance tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.runs import Run
from twopass.pipeline.ranking import Timings

__all__ = [
    "Difference",
    "Evaluation",
    "System",
    "holm",
    "randomization_test",
    "t_test",
]


_SIGNS_AT_ONCE = 10_000_000  # bytes


def randomization_test(
    differences: NDArray[np.float64], *, samples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the two-sided p-values of Fisher's paired randomisation test.

    Under the null hypothesis a query's two values could as well be swapped. The p-value is the
    share of random swaps (signs of the differences) whose mean is at least as far from zero as the
    observed one, which is counted among them.

    Source: Smucker, Allan & Carterette 2007, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation".

    Args:
        differences: (m, q) differences of two systems, by measure and query.
        samples: number of random swaps; the smallest p-value is 1 / (samples + 1).
        seed: of the random swaps; the same for all measures.

    Returns:
        (m,) p-values.

    """
    m, q = differences.shape
    found = np.abs(differences.sum(axis=1))
    margin = 1e-9 * np.abs(differences).sum(
        axis=1
    )  # for rounding, where sums are taken in another order
    generator = np.random.default_rng(seed)
    as_far = np.ones(m)
    block = max(1, _SIGNS_AT_ONCE // max(q, 1))
    for start in range(0, samples, block):
        size = (min(block, samples - start), q)
        signs = generator.integers(0, 2, size=size, dtype=np.int8) * 2.0 - 1.0
        as_far += (np.abs(signs @ differences.T) >= found - margin).sum(axis=0)
    return as_far / (samples + 1)


def t_test(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p-values of Student's paired t-test.

    Args:
        differences: (m, q) differences of two systems, by measure and query.

    Returns:
        (m,) p-values; 1 where the systems do not differ or there is only one query, 0 where they
        differ by the same value on each query.

    """
    m, q = differences.shape
    if q < 2:
        return np.ones(m)
    from scipy.stats import ttest_1samp

    constant = np.ptp(differences, axis=1) <= 1e-12 * np.abs(differences).max(axis=1)
    p_values = np.where(differences.any(axis=1), 0.0, 1.0)  # of constant rows, where t has no value
    if not constant.all():
        p_values[~constant] = ttest_1samp(differences[~constant], 0.0, axis=1).pvalue
    return p_values


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct the p-values of several comparisons by Holm's method.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: (c,) one per comparison.

    Returns:
        (c,) p-values, none smaller than before.

    """
    c = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(c, 0, -1))
    corrected = np.empty(c)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One system under evaluation.

    Attributes:
        run: its results.
        values: (m, q) float64, by measure and query.

    """

    run: Run
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between a system and a baseline in one measure.

    Attributes:
        mean: of the queries' differences; above 0 where the system is better.
        p_value: two-sided, of the paired randomisation test, corrected (Holm) for the number of
            systems compared with the baseline in this measure.
        t_p_value: of Student's paired t-test, corrected likewise.
        wins: queries on which the system is better.
        losses: queries on which it is worse.

    """

    mean: float
    p_value: float
    t_p_value: float
    wins: int
    losses: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Systems side by side on the same queries.

    Attributes:
        measures: (m,) names, as they were given.
        queries: (q,) ids of all judged queries, in order.
        systems: by name; the others are compared with the first.
        depth: how many candidates the second stage scored, a query; ``None`` where runs came
            from elsewhere.
        timings: mean seconds a query by stage; ``None`` where runs came from elsewhere.
        missed_added: whether relevant documents that the first stage missed were added to its
            candidates.

    Raises:
        EvaluationError: when there is no system, or values are not of shape (m, q).

    """

    measures: tuple[str, ...]
    queries: tuple[str, ...]
    systems: Mapping[str, System]
    depth: int | None = None
    timings: Timings | None = None
    missed_added: bool = False

    def __post_init__(self) -> None:
        if not self.systems:
            raise EvaluationError("expected systems to compare, found none")
        shape = len(self.measures), len(self.queries)
        for name, system in self.systems.items():
            if system.values.shape != shape:
                raise EvaluationError(
                    f"expected values of shape {shape} for {name!r}, found {system.values.shape}"
                )

    @property
    def baseline(self) -> str:
        """The name of the first system."""
        return next(iter(self.systems))

    def means(self, system: str) -> dict[str, float]:
        """Return a system's mean of each measure over all judged queries."""
        values = self.values(system).mean(axis=1)
        return dict(zip(self.measures, values.tolist(), strict=True))

    def values(self, system: str) -> NDArray[np.float64]:
        """Return a system's values, (m, q), by measure and query.

        Raises:
            EvaluationError: when there is no such system.

        """
        if system not in self.systems:
            raise EvaluationError(
                f"unknown system {system!r}: expected one of {', '.join(map(repr, self.systems))}"
            )
        return self.systems[system].values

    def comparisons(self, baseline: str | None = None) -> dict[str, dict[str, Difference]]:
        """Return the differences of all other systems to one, by default the first, by measure."""
        against = self.baseline if baseline is None else baseline
        apart = {
            name: self.values(name) - self.values(against)
            for name in self.systems
            if name != against
        }
        if not apart:
            return {}
        p_values = _corrected([randomization_test(values) for values in apart.values()])
        t_p_values = _corrected([t_test(values) for values in apart.values()])
        return {
            name: self._differences(values, p, t)
            for (name, values), p, t in zip(apart.items(), p_values, t_p_values, strict=True)
        }

    def _differences(
        self, apart: NDArray[np.float64], p_values: list[float], t_p_values: list[float]
    ) -> dict[str, Difference]:
        return {
            name: Difference(float(row.mean()), p, t, int((row > 0).sum()), int((row < 0).sum()))
            for name, row, p, t in zip(self.measures, apart, p_values, t_p_values, strict=True)
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per system, for a table: its name, and its figures by measure.

        Each measure has ``value``, and ``difference`` and its ``p_value``, ``t_p_value``, ``wins``
        and ``losses`` against the first system, ``None`` for the first itself.
        """
        compared = self.comparisons()
        return [
            {
                "system": name,
                **{
                    measure: {"value": value, **_plain(compared.get(name, {}).get(measure))}
                    for measure, value in self.means(name).items()
                },
            }
            for name in self.systems
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the runs as values that JSON can hold."""
        return {
            "depth": self.depth,
            "missed_added": self.missed_added,
            "measures": list(self.measures),
            "queries": list(self.queries),
            "seconds": asdict(self.timings) if self.timings else None,
            "systems": self.rows(),
            "values": {name: system.values.tolist() for name, system in self.systems.items()},
        }


def _corrected(p_values: list[NDArray[np.float64]]) -> list[list[float]]:
    """Correct (c, m) p-values over the comparisons."""
    corrected: list[list[float]] = np.apply_along_axis(holm, 0, np.stack(p_values)).tolist()
    return corrected


def _plain(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return dict.fromkeys(("difference", "p_value", "t_p_value", "wins", "losses"))
    values = asdict(difference)
    return {"difference": values.pop("mean"), **values}
