from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.errors import EvaluationError, SearchError
from twopass.pipeline.evaluation import (
    DEFAULT_MEASURES,
    Evaluation,
    System,
    evaluate,
    evaluate_runs,
    holm,
    measure,
    randomization_test,
    t_test,
)
from twopass.pipeline.fusion import fusion, reranker, rrf
from twopass.pipeline.search import SearchPipeline
from twopass.retriever.corpus import read_documents, read_qrels, read_queries
from twopass.retriever.index.index import BM25Index

QUERIES = {"q1": "cat hunts mice", "q2": "owl at night", "q3": "zebra", "q4": "not judged"}
QRELS = {"q3": {"d00": 1}, "q1": {"d03": 2, "d04": 1}, "q2": {"d57": 1, "d58": 0}}
WEIGHTED = fusion("weighted", weights=[0.5, 0.5])


@pytest.fixture
def evaluation(animals: Any, overlap: Any) -> Evaluation:
    fusions = {"weighted": WEIGHTED, "rrf": rrf}
    return evaluate(animals, overlap, fusions, QUERIES, QRELS, depth=10, k=20)


def test_systems_are_those_that_a_search_shows(
    evaluation: Evaluation, animals: Any, overlap: Any
) -> None:
    pipelines = {
        "BM25": SearchPipeline(animals, None, rrf),
        "cross-encoder": SearchPipeline(animals, overlap, reranker, depth=10),
        "fusion: weighted": SearchPipeline(animals, overlap, WEIGHTED, depth=10),
        "fusion: rrf": SearchPipeline(animals, overlap, rrf, depth=10),
    }
    assert list(evaluation.systems) == list(pipelines)
    assert evaluation.queries == ("q3", "q1", "q2")
    for name, pipeline in pipelines.items():
        found = {q: pipeline.search(QUERIES[q], 20).ids.tolist() for q in QRELS}
        system = evaluation.systems[name]
        assert {q: entry.ids.tolist() for q, entry in system.run.items()} == found
        np.testing.assert_array_equal(system.values, measure(found, QRELS))


def test_each_pair_is_scored_once(evaluation: Evaluation, overlap: Any) -> None:
    assert overlap.calls == [20]  # two queries with ten candidates, one without
    assert evaluation.depth == 10
    assert evaluation.timings is not None
    assert evaluation.timings.rerank > 0


def test_rows_have_values_and_differences(evaluation: Evaluation) -> None:
    first, second, *_ = evaluation.rows()
    assert first["system"] == "BM25"
    assert first["MAP"]["difference"] is None
    assert set(second) == {"system", *DEFAULT_MEASURES}
    for name in DEFAULT_MEASURES:
        assert first[name]["value"] == evaluation.means("BM25")[name]
        assert second[name]["value"] - first[name]["value"] == pytest.approx(
            second[name]["difference"]
        )
        assert 0 < second[name]["p_value"] <= 1
    plain = evaluation.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert len(plain["values"]["BM25"][0]) == 3


def test_differences_by_query() -> None:
    values = {"one": [[0.0, 0.5, 1.0, 0.25]], "other": [[0.5, 0.25, 1.0, 1.0]]}
    systems = {name: System({}, np.array(rows)) for name, rows in values.items()}
    found = Evaluation(("MAP",), ("a", "b", "c", "d"), systems)
    apart = found.comparisons()["other"]["MAP"]
    assert (apart.mean, apart.wins, apart.losses) == (0.25, 2, 1)
    assert found.comparisons("other")["one"]["MAP"].mean == -0.25
    with pytest.raises(EvaluationError, match="unknown system 'third': expected one of 'one'"):
        found.means("third")


def test_without_a_second_stage(animals: Any) -> None:
    alone = evaluate(animals, None, {"rrf": rrf}, QUERIES, QRELS)
    assert list(alone.systems) == ["BM25"]


def test_progress_is_told(animals: Any, overlap: Any) -> None:
    told: list[int] = []
    evaluate(animals, overlap, {}, QUERIES, QRELS, progress=told.append)
    assert told == [1, 2, 3]


def test_what_cannot_be_evaluated(animals: Any, overlap: Any) -> None:
    def run(**changes: Any) -> Evaluation:
        given = {"queries": QUERIES, "qrels": QRELS} | changes
        return evaluate(animals, overlap, {}, **given)

    with pytest.raises(EvaluationError, match="found none for 1 of 1, for example 'q9'"):
        run(qrels={"q9": {"d00": 1}})
    with pytest.raises(EvaluationError, match="expected judgements"):
        run(qrels={})
    with pytest.raises(EvaluationError, match="unknown measure"):
        run(measures=["best"])
    with pytest.raises(SearchError, match="expected depth"):
        run(depth=0)
    with pytest.raises(EvaluationError, match="expected systems"):
        evaluate_runs({}, QRELS)
    with pytest.raises(EvaluationError, match=r"values of shape \(1, 2\) for 'a'"):
        Evaluation(("MAP",), ("q1", "q2"), {"a": System({}, np.zeros((1, 3)))})
    assert overlap.calls == []


def test_randomization_equals_all_swaps_counted() -> None:
    differences = np.random.default_rng(5).normal(0.3, 1, (3, 12))
    signs = np.array(list(product([-1, 1], repeat=12)))
    exact = (np.abs(signs @ differences.T) >= np.abs(differences.sum(axis=1)) - 1e-9).mean(axis=0)
    sampled = randomization_test(differences, samples=40_000)
    np.testing.assert_allclose(sampled, exact, atol=0.01)


def test_randomization_at_its_ends() -> None:
    assert randomization_test(np.zeros((1, 9))).tolist() == [1.0]
    assert randomization_test(np.full((1, 100), 0.1))[0] == pytest.approx(1 / 10_001)
    again = np.random.default_rng(1).normal(0, 1, (2, 50))
    np.testing.assert_array_equal(randomization_test(again), randomization_test(again))


def test_t_test_equals_scipys() -> None:
    from scipy.stats import ttest_rel

    one, other = np.random.default_rng(2).normal(0, 1, (2, 3, 40))
    expected = ttest_rel(one, other, axis=1).pvalue
    np.testing.assert_allclose(t_test(one - other), expected, rtol=1e-9)
    ends = np.array([[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
    assert t_test(ends).tolist() == [1.0, 0.0]
    assert t_test(ends[:, :1]).tolist() == [1.0, 1.0]


def test_holm_steps_down() -> None:
    # four tests of Holm 1979's kind: 4 x 0.005, 3 x 0.01, then 2 x 0.03 holds the last one up
    corrected = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(corrected, [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_several_systems_are_corrected_for() -> None:
    generator = np.random.default_rng(4)
    values = {f"s{i}": System({}, generator.random((1, 30)) + i / 20) for i in range(4)}
    queries = tuple(map(str, range(30)))
    together = Evaluation(("MAP",), queries, values).comparisons()
    for name in ("s1", "s2", "s3"):
        alone = Evaluation(("MAP",), queries, {n: values[n] for n in ("s0", name)}).comparisons()
        assert together[name]["MAP"].p_value >= alone[name]["MAP"].p_value
        assert together[name]["MAP"].t_p_value >= alone[name]["MAP"].t_p_value
    assert together["s1"]["MAP"].p_value > alone["s3"]["MAP"].p_value


def test_bm25_on_scifact_is_what_is_published(data: Callable[[str], Path]) -> None:
    from twopass.retriever.scoring import Lucene

    folder = data("scifact")
    index = BM25Index.build(read_documents(folder), scoring=Lucene(k1=0.9, b=0.4))
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    queries = read_queries(folder / "queries.jsonl")
    found = evaluate(index, None, {}, queries, qrels, measures=["nDCG@10", "Recall@100"])
    assert found.means("BM25")["nDCG@10"] == pytest.approx(0.6789, abs=0.003)
    assert found.means("BM25")["Recall@100"] == pytest.approx(0.925, abs=0.01)
