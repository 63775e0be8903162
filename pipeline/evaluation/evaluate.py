"""Evaluation of first stage, second stage and fusions on judged queries, also by depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.evaluation.measures import (
    DEFAULT_MEASURES,
    Qrels,
    measure_run,
    parse_measures,
)
from twopass.pipeline.evaluation.pool import Pool, collect
from twopass.pipeline.evaluation.results import Evaluation, System, randomization_test
from twopass.pipeline.evaluation.runs import Run
from twopass.pipeline.fusion import Fusion
from twopass.reranker.contract.scorer import PairScorer
from twopass.retriever.base import Retriever

__all__ = [
    "DepthCurve",
    "by_depth",
    "evaluate",
    "evaluate_runs",
]


def evaluate(
    retriever: Retriever,
    scorer: PairScorer | None,
    fusions: Mapping[str, Fusion],
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    depth: int = 100,
    k: int = 100,
    missed: Mapping[str, str] | None = None,
    measures: Sequence[str] = DEFAULT_MEASURES,
    names: tuple[str, str] = ("BM25", "cross-encoder"),
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate both stages, and fusions of the two, on the same candidates.

    ::

        evaluation = evaluate(index, model, {"rrf": fusion("rrf")}, queries, qrels)
        evaluation.means("fusion: rrf")["nDCG@10"]

    Each pair is scored once; all systems use the same scores. The second stage reorders the first
    ``depth`` hits; the others follow in the first stage's order.

    Args:
        retriever: the first stage.
        scorer: the second; ``None`` to evaluate only the first.
        fusions: by name; their systems are called "fusion: name".
        queries: texts by query id; those without judgements are ignored.
        qrels: judgements; all their queries count, those without results as 0.
        depth: candidates to score per query.
        k: minimum length of the rankings that are measured.
        missed: texts of relevant documents, added where the first stage missed them: see
            ``collect``. By default they are not added, as in a search.
        measures: names of measures, see ``parse_measures``.
        names: the names of the stages' systems.
        progress: called with the number of queries done.

    Raises:
        EvaluationError: when a measure is unknown, nothing is judged, or a judged query has no
            text.
        SearchError: when k or the depth is not a count.
        RetrieverError, RerankerError, ScoringError, FusionError: when a stage fails.

    """
    parse_measures(measures)  # errors before the work, not after it
    pool = collect(
        retriever, scorer, queries, qrels, depth=depth, k=k, missed=missed, progress=progress
    )
    return pool.evaluate(fusions, measures=measures, names=names)


def evaluate_runs(
    runs: Mapping[str, Run], qrels: Qrels, *, measures: Sequence[str] = DEFAULT_MEASURES
) -> Evaluation:
    """Evaluate existing runs, by name; the first is the baseline.

    Raises:
        EvaluationError: when a measure is unknown or cannot be computed here, nothing is judged, or
            there is no run.

    """
    systems = {name: System(run, measure_run(run, qrels, measures)) for name, run in runs.items()}
    return Evaluation(tuple(measures), tuple(qrels), systems)


_DEPTHS = (5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class DepthCurve:
    """A measure at several depths.

    Attributes:
        measure: its name.
        depths: (d,) candidates scored per query, rising; the first is 0: the first stage only.
        values: (d, q) float64, by depth and query.
        seconds: (d,) float64: mean time of both stages per query; the second's in proportion to
            its pairs.

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
        """The depth with the highest mean; the smallest of several."""
        return self.depths[int(np.argmax(self.means))]

    @property
    def recommended(self) -> int:
        """The smallest depth that is not significantly worse than the best one.

        By the paired randomisation test at 0.05, uncorrected.
        """
        best = self.values[self.depths.index(self.best)]
        p_values = randomization_test(best - self.values)
        close = p_values >= _LEVEL
        return self.depths[int(np.argmax(close))]


def by_depth(
    pool: Pool, fusion: Fusion, *, measure: str = "nDCG@10", depths: Sequence[int] | None = None
) -> DepthCurve:
    """Measure a fusion at several depths, as if fewer candidates had been scored.

    Args:
        pool: both stages' scores.
        fusion: how they become one.
        measure: its name.
        depths: up to the pool's; a common series by default.

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
    """Return the mean number of pairs per query at a depth."""
    scored = [len(found.scores) for found in pool.candidates.values()]
    return float(np.minimum(scored, depth).mean())
