"""Calibration of the second stage's scores on the judged candidates of queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.evaluation.pool import Pool
from twopass.reranker.scorers.calibration import Calibration, uncalibrated
from twopass.reranker.scorers.calibration_curves import Method
from twopass.reranker.scorers.reliability import Reliability, reliability

__all__ = ["CalibrationResult", "JudgedPairs", "calibrate", "judged_pairs"]

_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """Scored pairs with their judgements.

    Attributes:
        scores: (n,) float32: the second stage's.
        relevant: (n,) bool: judged above zero; unjudged candidates count as not relevant.
        queries: (n,) int64: the number of each pair's query.

    """

    scores: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    queries: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationResult:
    """A calibration and its quality.

    Attributes:
        calibration: fitted on all pairs.
        before: of the uncalibrated scores, through a sigmoid where they are logits.
        after: cross-validated: each pair's probability is fitted on the other folds' queries.

    """

    calibration: Calibration
    before: Reliability
    after: Reliability


def judged_pairs(pool: Pool) -> JudgedPairs:
    """Return the scored candidates of judged queries."""
    scores, relevant, queries = [], [], []
    for number, (query, candidates) in enumerate(pool.candidates.items()):
        values, judged = candidates.scores.values, pool.qrels[query]
        known = np.flatnonzero(~np.isnan(values))
        scores.append(values[known])
        relevant += [judged.get(candidates.hits.ids[place], 0) > 0 for place in known]
        queries.append(np.full(len(known), number, dtype=np.int64))
    return JudgedPairs(
        np.concatenate(scores), np.array(relevant, dtype=bool), np.concatenate(queries)
    )


def calibrate(
    judged: JudgedPairs, method: Method, *, scorer: str = "", fingerprint: str = "", **about: object
) -> CalibrationResult:
    """Fit a calibration, and measure it on queries that it was not fitted on.

    Args:
        judged: the pairs.
        method: ``temperature``, ``platt`` or ``isotonic``.
        scorer: whose scores they are.
        fingerprint: of its weights.
        about: further facts to keep with it.

    Raises:
        InputError: when the data are not sufficient, in whole or in a fold.

    """
    scores, relevant = judged.scores, judged.relevant
    folds = judged.queries % _FOLDS
    held_out = np.empty(len(scores), dtype=np.float64)
    for fold in np.unique(folds):
        inside = folds == fold
        fitted = Calibration.fit(method, scores[~inside], relevant[~inside])
        held_out[inside] = fitted(scores[inside])
    before, after = reliability(uncalibrated(scores), relevant), reliability(held_out, relevant)
    facts = {
        **about,
        "pairs": len(scores),
        "relevant": int(relevant.sum()),
        "queries": len(np.unique(judged.queries)),
        "expected_calibration_error": {"before": before.error, "cross-validated": after.error},
    }
    calibration = Calibration.fit(
        method, scores, relevant, scorer=scorer, fingerprint=fingerprint, about=facts
    )
    return CalibrationResult(calibration, before, after)
