"""How much better is it? First stage, second stage and fusions on judged queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure_run, parse_measures
from pipeline.evaluation.pool import collect
from pipeline.evaluation.results import Evaluation, System
from pipeline.evaluation.runs import Run
from pipeline.fusion import Fusion
from reranker.base import PairScorer
from retriever.base import Retriever

__all__ = ["evaluate", "evaluate_runs"]


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

    Each pair is scored once; all systems are made of the same scores. The second stage reorders
    the first ``depth`` hits; those beyond follow in the first stage's order.

    Args:
        retriever: the first stage.
        scorer: the second; ``None`` to evaluate the first alone.
        fusions: by name; their systems are called "fusion: name".
        queries: texts by query id; those without judgements are left out.
        qrels: judgements; all their queries count, those without results as 0.
        depth: how many candidates are scored, a query.
        k: how long the rankings are at least that are measured.
        missed: texts of relevant documents, to be added where the first stage missed them: see
            ``collect``. By default they stay missed, as in a search.
        measures: names of measures, see ``parse_measures``.
        names: what the stages' systems are called.
        progress: called with the number of queries done.

    Raises:
        EvaluationError: when a measure is unknown, nothing is judged, or a judged query has no
            text.
        SearchError: when k or the depth is not a count.
        RetrieverError, RerankerError, ScoringError, FusionError: when a stage fails.

    """
    parse_measures(measures)  # before the work, not after
    pool = collect(
        retriever, scorer, queries, qrels, depth=depth, k=k, missed=missed, progress=progress
    )
    return pool.evaluate(fusions, measures=measures, names=names)


def evaluate_runs(
    runs: Mapping[str, Run], qrels: Qrels, *, measures: Sequence[str] = DEFAULT_MEASURES
) -> Evaluation:
    """Evaluate runs that are there already, by name; the first is the baseline.

    Raises:
        EvaluationError: when a measure is unknown or cannot be had here, nothing is judged, or
            there is no run.

    """
    systems = {name: System(run, measure_run(run, qrels, measures)) for name, run in runs.items()}
    return Evaluation(tuple(measures), tuple(qrels), systems)
