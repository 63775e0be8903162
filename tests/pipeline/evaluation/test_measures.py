from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation import DEFAULT_MEASURES, measure, parse_measures

DOCUMENTS = [f"d{i}" for i in range(15)]
TREC_EVAL = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "MAP": "map",
    "AP@5": "map_cut_5",
    "MRR": "recip_rank",
    "Recall@100": "recall_100",
    "R@5": "recall_5",
    "P@5": "P_5",
    "Success@5": "success_5",
}

rankings = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]), st.lists(st.sampled_from(DOCUMENTS), unique=True)
)
judgements = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]),
    st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1),
    min_size=1,
)


@given(found=rankings, qrels=judgements)
def test_values_equal_those_of_trec_eval(found: Any, qrels: Any) -> None:
    values = measure(found, qrels, list(TREC_EVAL))
    run = {q: {d: -float(r) for r, d in enumerate(ids)} for q, ids in found.items()}
    # Its loops never end on relevance below 0, which means: judged, not relevant.
    known = {q: {d: max(r, 0) for d, r in documents.items()} for q, documents in qrels.items()}
    judged = pytrec_eval.RelevanceEvaluator(known, set(TREC_EVAL.values())).evaluate(run)
    assert values.shape == (len(TREC_EVAL), len(qrels))
    for column, query in enumerate(qrels):
        expected = judged.get(query, dict.fromkeys(TREC_EVAL.values(), 0.0))
        np.testing.assert_allclose(
            values[:, column], [expected[name] for name in TREC_EVAL.values()], atol=1e-6
        )


@given(found=rankings, qrels=judgements)
def test_reciprocal_rank_is_cut_where_said(found: Any, qrels: Any) -> None:
    cut = {query: ids[:3] for query, ids in found.items()}
    np.testing.assert_allclose(measure(found, qrels, ["MRR@3"]), measure(cut, qrels, ["MRR"]))


def test_a_ranking_has_each_document_once() -> None:
    with pytest.raises(EvaluationError, match=r"query 'q': expected each document once, .* 'a'"):
        measure({"q": ["a", "a", "b"]}, {"q": {"a": 1}}, ["P@5"])


def test_averages_never_drop_a_query() -> None:
    qrels = {"q1": {"d1": 1}, "q2": {"d1": 1}, "q3": {"d1": 0}}
    values = measure({"q1": ["d1"], "other": ["d1"]}, qrels)
    np.testing.assert_array_equal(values, [[1, 0, 0]] * 4)
    np.testing.assert_array_equal(measure({}, qrels), np.zeros((4, 3)))


def test_values_worked_out_by_hand() -> None:
    values = measure({"q": ["a", "b", "c", "d"]}, {"q": {"b": 2, "d": 1, "e": 1}})
    ndcg = (2 / np.log2(3) + 1 / np.log2(5)) / (2 + 1 / np.log2(3) + 1 / np.log2(4))
    np.testing.assert_allclose(values[:, 0], [ndcg, (1 / 2 + 2 / 4) / 3, 1 / 2, 2 / 3])


def test_either_name_will_do() -> None:
    one = parse_measures(DEFAULT_MEASURES)
    other = parse_measures(["nDCG@10", "AP", "RR@10", "R@100"])
    assert list(one.values()) == list(other.values())
    assert list(one) == ["nDCG@10", "MAP", "MRR@10", "Recall@100"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ndcg_cut_10"], "unknown measure 'ndcg_cut_10' .*: expected for example nDCG@10, MAP"),
        (["nDCG@"], "unknown measure 'nDCG@'"),
        (["nDCG@ten"], "unknown measure 'nDCG@ten'"),
        (["P(depth=3)@5"], "unknown measure"),
        (["1 + 1"], "unknown measure"),
        (["MAP", "AP"], r"measure 'AP' \(AP\) is named twice"),
        ([], "expected measures, found none"),
    ],
)
def test_unknown_measures(names: list[str], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        measure({"q": ["d"]}, {"q": {"d": 1}}, names)


def test_a_measure_that_nothing_here_computes() -> None:
    with pytest.raises(EvaluationError, match=r"cannot compute alpha_nDCG@10 here"):
        measure({"q": ["d"]}, {"q": {"d": 1}}, ["alpha_nDCG@10"])


def test_nothing_judged() -> None:
    with pytest.raises(EvaluationError, match="expected judgements"):
        measure({"q": ["d"]}, {})
