"""Measures of ranking quality, by the names that ir_measures gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.runs import Run

if TYPE_CHECKING:
    from ir_measures import Measure

__all__ = ["DEFAULT_MEASURES", "Qrels", "measure", "measure_run", "parse_measures"]

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Relevance by document id by query id; 0 and below: judged, not relevant."""

DEFAULT_MEASURES = ("nDCG@10", "MAP", "MRR@10", "Recall@100")

_EXAMPLES = "nDCG@10, MAP, MRR@10, Recall@100, P@5, Success@1, nDCG(gains={1:1,2:3})@10"


def parse_measures(names: Sequence[str]) -> dict[str, Measure]:
    """Return the measures by the given names; MRR, MAP and Recall are aliases.

    Raises:
        EvaluationError: when one is unknown, is named twice, or there is none.

    """
    import ir_measures

    measures: dict[str, Measure] = {}
    for name in names:
        try:
            parsed = ir_measures.parse_measure(name)
            str(parsed)  # fails for an unknown parameter
        except (NameError, ValueError, TypeError, KeyError) as error:
            raise EvaluationError(
                f"unknown measure {name!r} ({error}): expected for example {_EXAMPLES}"
            ) from error
        if parsed in measures.values():
            raise EvaluationError(f"measure {name!r} ({parsed}) is named twice")
        measures[name] = parsed
    if not measures:
        raise EvaluationError(f"expected measures, found none; for example {_EXAMPLES}")
    return measures


def measure(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, names: Sequence[str] = DEFAULT_MEASURES
) -> NDArray[np.float64]:
    """Measure rankings against judgements.

    Only the order counts: trec_eval and similar tools would sort equal scores by document id,
    descending.

    Args:
        rankings: document ids, best first, by query id.
        qrels: judgements; they name the queries, in order. A query without a ranking counts as
            an empty one; a ranking without judgements does not count.
        names: (m,) names of measures.

    Returns:
        (m, q) float64 values.

    Raises:
        EvaluationError: when a measure is unknown or cannot be computed here, a ranking repeats a
            document, or nothing is judged.

    """
    import ir_measures

    if not qrels:
        raise EvaluationError("expected judgements, found none")
    measures = parse_measures(names)
    rows = {parsed: row for row, parsed in enumerate(measures.values())}
    places = {query: place for place, query in enumerate(qrels)}
    values = np.zeros((len(rows), len(places)))
    # pytrec_eval does not return if relevance is below 0
    judged = {q: {id: max(r, 0) for id, r in judged.items()} for q, judged in qrels.items()}
    run = {
        query: _by_rank(query, rankings[query]) for query in qrels if len(rankings.get(query, ()))
    }
    try:
        metrics = ir_measures.iter_calc(list(rows), judged, run)
        for metric in metrics if run else ():
            values[rows[metric.measure], places[metric.query_id]] = metric.value
    except Exception as error:  # each provider has its own exceptions
        raise EvaluationError(f"cannot compute {', '.join(names)} here: {error}") from error
    return values


def measure_run(run: Run, qrels: Qrels, names: Sequence[str]) -> NDArray[np.float64]:
    """Measure a run in its own order; see ``measure``."""
    return measure({query: found.ids.tolist() for query, found in run.items()}, qrels, names)


def _by_rank(query: str, ids: Sequence[str]) -> dict[str, float]:
    scores = {id: float(len(ids) - rank) for rank, id in enumerate(ids)}
    if len(scores) < len(ids):
        twice = next(id for rank, id in enumerate(ids) if id in ids[:rank])
        raise EvaluationError(
            f"query {query!r}: expected each document once, found {twice!r} again"
        )
    return scores
