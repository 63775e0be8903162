"""min_score means a probability, or it is not applied and the status says so."""

from __future__ import annotations

import numpy as np
import pytest

from twopass.pipeline.errors import SearchError
from twopass.pipeline.fusion import reranker
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.calibration import CalibratedScorer, Calibration
from twopass.reranker.scorers.calibration_curves import Platt

QUERY = "the fox hunts mice in the barn"


def search(animals, scorer, **options):
    return SearchPipeline(animals, scorer, reranker, depth=20, **options)


@pytest.fixture
def calibrated(overlap):
    return CalibratedScorer(overlap, Calibration(Platt(10, -5)))


def test_results_have_the_probability_that_is_asked_for(animals, calibrated):
    whole = search(animals, calibrated).search(QUERY, k=20)
    assert whole.probabilities is not None
    least = float(np.sort(whole.probabilities)[10])
    ranking = search(animals, calibrated, min_score=least).search(QUERY, k=20)
    expected = whole.probabilities >= least
    assert ranking.ids.tolist() == whole.ids[expected].tolist()
    assert 0 < len(ranking) < 20
    assert ranking.status.outcome == "complete"
    per_call = search(animals, calibrated).search(QUERY, k=20, min_score=least)
    assert per_call.ids.tolist() == ranking.ids.tolist()
    assert ranking.to_dicts()[0]["probability"] == pytest.approx(float(whole.probabilities[0]))


def test_a_calibration_changes_no_order(animals, overlap, calibrated):
    plain = search(animals, overlap).search(QUERY, k=20)
    assert search(animals, calibrated).search(QUERY, k=20).ids.tolist() == plain.ids.tolist()
    assert plain.probabilities is None


def test_what_lies_beyond_the_depth_has_no_probability(animals, calibrated):
    assert len(search(animals, calibrated).search(QUERY, k=40)) > 20
    assert len(search(animals, calibrated, min_score=0.0).search(QUERY, k=40)) == 20


def test_a_threshold_is_not_applied_to_another_scorers_scores(animals, overlap):
    class Fallback(Scorer):
        def score(self, pairs, **_):
            return Scores(overlap.predict(pairs), "the first was down", "the second")

    scorer = CalibratedScorer(Fallback(), Calibration(Platt(10, -5)), by="the first")
    ranking = search(animals, scorer, min_score=0.99).search(QUERY, k=20)
    assert len(ranking) == 20
    assert "the first was down; min_score 0.99 not applied" in ranking.status.reason


def test_a_threshold_is_not_applied_where_scoring_failed(animals):
    class Broken:
        def predict(self, _):
            raise RuntimeError("no")

    scorer = CalibratedScorer(Broken(), Calibration(Platt(10, -5)))
    ranking = search(animals, scorer, min_score=0.5, on_error="first-stage").search(QUERY)
    assert len(ranking) == 10
    assert ranking.status.outcome == "failed"
    assert "not applied" in ranking.status.reason


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "half", True, float("nan")])
def test_a_threshold_is_a_probability(animals, overlap, wrong):
    with pytest.raises(SearchError, match="min_score"):
        search(animals, overlap, min_score=wrong)
