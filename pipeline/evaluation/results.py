"""What an evaluation found: values by system, measure and query, and how systems differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import EvaluationError
from pipeline.evaluation.runs import Run
from pipeline.evaluation.significance import randomization_test
from pipeline.ranking import Timings

__all__ = ["Difference", "Evaluation", "System"]


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One system under evaluation.

    Attributes:
        run: what it found.
        values: (m, q) float64, by measure and query.

    """

    run: Run
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """How a system differs from a baseline in one measure.

    Attributes:
        mean: of the queries' differences; above 0 where the system is better.
        p_value: two-sided, of the paired randomisation test; not corrected for many comparisons.
        wins: queries on which the system is better.
        losses: queries on which it is worse.

    """

    mean: float
    p_value: float
    wins: int
    losses: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Systems side by side on the same queries.

    Attributes:
        measures: (m,) names, as they were asked for.
        queries: (q,) ids of all judged queries, in order.
        systems: by name; the first is what the others are compared with.
        depth: how many candidates the second stage scored, a query; ``None`` where runs came
            from elsewhere.
        timings: mean seconds a query by stage, fusion that of all systems together; ``None``
            where runs came from elsewhere.

    Raises:
        EvaluationError: when there is no system, or values of another shape than (m, q).

    """

    measures: tuple[str, ...]
    queries: tuple[str, ...]
    systems: Mapping[str, System]
    depth: int | None = None
    timings: Timings | None = None

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
        values = self._system(system).values.mean(axis=1)
        return dict(zip(self.measures, values.tolist(), strict=True))

    def differences(self, system: str, baseline: str | None = None) -> dict[str, Difference]:
        """Return how a system differs from another, the first where none is named, by measure."""
        against = self._system(self.baseline if baseline is None else baseline)
        apart = self._system(system).values - against.values
        p_values = randomization_test(apart).tolist()
        return {
            name: Difference(float(row.mean()), p, int((row > 0).sum()), int((row < 0).sum()))
            for name, row, p in zip(self.measures, apart, p_values, strict=True)
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a system, fit for a table: its name, and value and difference by measure.

        Each measure has ``value``, and ``difference`` and ``p_value`` against the first system,
        ``None`` for the first itself.
        """
        return [{"system": name, **self._row(name)} for name in self.systems]

    def _row(self, name: str) -> dict[str, dict[str, float | None]]:
        means = self.means(name)
        if name == self.baseline:
            return {
                measure: {"value": value, "difference": None, "p_value": None}
                for measure, value in means.items()
            }
        return {
            measure: {"value": means[measure], "difference": apart.mean, "p_value": apart.p_value}
            for measure, apart in self.differences(name).items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the runs as plain values, fit for JSON."""
        return {
            "depth": self.depth,
            "measures": list(self.measures),
            "queries": list(self.queries),
            "seconds": asdict(self.timings) if self.timings else None,
            "systems": self.rows(),
            "values": {name: system.values.tolist() for name, system in self.systems.items()},
        }

    def _system(self, name: str) -> System:
        if name not in self.systems:
            raise EvaluationError(
                f"unknown system {name!r}: expected one of {', '.join(map(repr, self.systems))}"
            )
        return self.systems[name]
