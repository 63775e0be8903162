"""How much better is it? First stage, second stage and fusions on judged queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TypeAlias

import numpy as np

from pipeline.errors import EvaluationError
from pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure, parse_measures
from pipeline.evaluation.results import Evaluation, System
from pipeline.evaluation.runs import Entries, Run, entries, strictly_decreasing
from pipeline.fusion import Fusion, reranker
from pipeline.ranking import Timings
from pipeline.search import fuse
from pipeline.stages import Candidates, Stages, count
from reranker.base import PairScorer
from retriever.base import Retriever

__all__ = ["evaluate", "evaluate_runs"]

_System: TypeAlias = Callable[[Candidates], Entries]


def evaluate(
    retriever: Retriever,
    scorer: PairScorer | None,
    fusions: Mapping[str, Fusion],
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    depth: int = 100,
    k: int = 100,
    measures: Sequence[str] = DEFAULT_MEASURES,
    names: tuple[str, str] = ("BM25", "cross-encoder"),
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate both stages, and fusions of the two, on the same candidates.

    Each pair is scored once; all systems are made of the same scores. The second stage reorders
    the first ``depth`` hits; those beyond follow in the first stage's order. Positives that the
    first stage missed stay missed.

    Args:
        retriever: the first stage.
        scorer: the second; ``None`` to evaluate the first alone.
        fusions: by name; their systems are called "fusion: name".
        queries: texts by query id; those without judgements are left out.
        qrels: judgements; all their queries count, those without results as 0.
        depth: how many candidates are scored, a query.
        k: how long the rankings are at least that are measured.
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
    texts = _judged(queries, qrels)
    systems: dict[str, _System] = {names[0]: _first}
    if scorer is not None:
        systems[names[1]] = partial(_fused, reranker)
        systems |= {f"fusion: {name}": partial(_fused, fusion) for name, fusion in fusions.items()}
    runs: dict[str, dict[str, Entries]] = {name: {} for name in systems}
    spent = np.zeros(3)
    k, depth = count("k", k), count("depth", depth)
    found = Stages(retriever, scorer).run(list(texts.values()), k=max(k, depth), depth=depth)
    for done, (query, candidates) in enumerate(zip(texts, found, strict=True), start=1):
        started = perf_counter()
        for name, system in systems.items():
            runs[name][query] = system(candidates)
        spent += candidates.retrieval, candidates.rerank, perf_counter() - started
        if progress:
            progress(done)
    timings = Timings(*(spent / len(texts)).tolist())
    return evaluate_runs(runs, qrels, measures=measures, depth=depth, timings=timings)


def evaluate_runs(
    runs: Mapping[str, Run],
    qrels: Qrels,
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    depth: int | None = None,
    timings: Timings | None = None,
) -> Evaluation:
    """Evaluate runs that are there already, by name; the first is the baseline.

    Raises:
        EvaluationError: when a measure is unknown or cannot be had here, nothing is judged, or
            there is no run.

    """
    systems = {
        name: System(run, measure({q: run[q].ids.tolist() for q in run}, qrels, measures))
        for name, run in runs.items()
    }
    return Evaluation(tuple(measures), tuple(qrels), systems, depth, timings)


def _judged(queries: Mapping[str, str], qrels: Qrels) -> dict[str, str]:
    missing = [query for query in qrels if query not in queries]
    if missing:
        raise EvaluationError(
            f"expected a text for each judged query, found none for {len(missing)} of "
            f"{len(qrels)}, for example {missing[0]!r}"
        )
    if not qrels:
        raise EvaluationError("expected judgements, found none")
    return {query: queries[query] for query in qrels}


def _fused(fusion: Fusion, candidates: Candidates) -> Entries:
    return entries(fuse(candidates, fusion, len(candidates.hits)))


def _first(candidates: Candidates) -> Entries:
    return Entries(candidates.hits.ids, strictly_decreasing(candidates.hits.scores))
