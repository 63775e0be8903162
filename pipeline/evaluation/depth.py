"""Quality by depth by time: what it is worth to score more candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.measures import parse_measures
from pipeline.evaluation.pool import Pool
from pipeline.evaluation.significance import randomization_test
from pipeline.fusion import Fusion

__all__ = ["DepthCurve", "by_depth"]

_DEPTHS = (5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class DepthCurve:
    """A measure at several depths.

    Attributes:
        measure: its name.
        depths: (d,) candidates scored, a query, rising; the first is 0: the first stage alone.
        values: (d, q) float64, by depth and query.
        seconds: (d,) float64: mean time of both stages a query; that of the second in proportion
            to its pairs.

    """

    measure: str
    depths: tuple[int, ...]
    values: NDArray[np.float64]
    seconds: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """(d,) float64: the mean over the queries, by depth."""
        return np.asarray(self.values.mean(axis=1))

    @property
    def best(self) -> int:
        """The depth with the highest mean; the least of several."""
        return self.depths[int(np.argmax(self.means))]

    @property
    def recommended(self) -> int:
        """The least depth that is not significantly worse than the best one.

        By the paired randomisation test at 0.05, uncorrected: what differs by more is worth its
        time.
        """
        best = self.values[self.depths.index(self.best)]
        p_values = randomization_test(best - self.values)
        close = p_values >= _LEVEL
        return self.depths[int(np.argmax(close))]


def by_depth(
    pool: Pool, fusion: Fusion, *, measure: str = "nDCG@10", depths: Sequence[int] | None = None
) -> DepthCurve:
    """Measure a fusion as if fewer candidates had been scored.

    Args:
        pool: both stages' scores.
        fusion: how they become one.
        measure: its name.
        depths: up to the pool's; a usual row by default.

    Raises:
        EvaluationError: when the measure is unknown.

    """
    parse_measures([measure])
    chosen = sorted({d for d in depths or (*_DEPTHS, pool.depth) if 0 < d <= pool.depth})
    runs = [pool.first(), *(pool.fused(fusion, depth=depth) for depth in chosen)]
    pairs = np.array([0.0, *(_pairs(pool, depth) for depth in chosen)])
    a_pair = pool.timings.rerank / max(1.0, _pairs(pool, pool.depth))
    return DepthCurve(
        measure=measure,
        depths=(0, *chosen),
        values=np.stack([pool.measured(run, [measure])[0] for run in runs]),
        seconds=pool.timings.retrieval + a_pair * pairs,
    )


def _pairs(pool: Pool, depth: int) -> float:
    """Return how many pairs a query has at a depth, on average."""
    scored = [len(found.scores) for found in pool.candidates.values()]
    return float(np.minimum(scored, depth).mean())
