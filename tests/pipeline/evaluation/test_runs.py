from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation import Entries, entries, measure, read_run, write_run
from twopass.pipeline.evaluation.runs import strictly_decreasing
from twopass.pipeline.fusion import reranker
from twopass.pipeline.search import SearchPipeline
from twopass.retriever.errors import CorpusError

NAN = np.nan
SCORES = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, -0.0, 1.0])


def run_of(ids: list[str], scores: Any) -> Entries:
    return Entries(np.array(ids, dtype=object), np.float32(scores))


@given(arrays(np.float32, st.integers(0, 30), elements=SCORES), st.integers(0, 3))
def test_scores_fall_and_stay_where_they_can(scores: Any, unscored: int) -> None:
    scores = np.sort(scores)[::-1]
    fallen = strictly_decreasing(np.concatenate([scores, np.full(unscored, NAN, np.float32)]))
    assert fallen.dtype == np.float32
    assert np.isfinite(fallen).all()
    assert (fallen[1:] < fallen[:-1]).all()
    if len(set(scores.tolist())) == len(scores):
        np.testing.assert_array_equal(fallen[: len(scores)], scores)


def test_ties_step_down_by_the_least_that_a_float32_knows() -> None:
    below = np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(
        strictly_decreasing(np.float32([1, 1, 0.5, NAN])),
        [1, below, 0.5, np.nextafter(np.float32(0.5), np.float32(0))],
    )
    assert strictly_decreasing(np.float32([NAN]))[0] == 0


@given(
    st.lists(
        st.lists(st.sampled_from([f"d{i}" for i in range(9)]), unique=True, min_size=1),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.sampled_from([-1.5, 0.0, 0.1, 7.25]), min_size=9, max_size=9),
)
def test_trec_eval_reads_a_file_as_it_was_shown(found: Any, scores: Any) -> None:
    falling = np.sort(np.float32(scores))[::-1]
    run = {
        f"q{i}": run_of(ids, strictly_decreasing(falling[: len(ids)]))
        for i, ids in enumerate(found)
    }
    qrels = {query: {"d1": 1, "d5": 2} for query in run}
    file = io.StringIO()
    write_run(file, run)
    judge = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"})
    judged = judge.evaluate(pytrec_eval.parse_run(io.StringIO(file.getvalue())))
    [values] = measure({q: entry.ids.tolist() for q, entry in run.items()}, qrels, ["nDCG@10"])
    np.testing.assert_allclose(values, [judged[q]["ndcg_cut_10"] for q in run], atol=1e-9)


def test_a_rankings_run_keeps_its_order(animals: Any, overlap: Any) -> None:
    pipeline = SearchPipeline(animals, overlap, reranker, depth=5)
    ranking = pipeline.search("cat at night", 20)  # with ties, and with documents beyond the depth
    ids, scores = entries(ranking)
    assert ids.tolist() == ranking.ids.tolist()
    assert (np.diff(scores) < 0).all()
    np.testing.assert_allclose(scores[:5], ranking.fused[:5], rtol=1e-6)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = {"q1": run_of(["b", "a"], [2.5, -1e-9]), "q2": run_of(["é"], [0.1])}
    write_run(tmp_path / "run.trec", run, tag="mine")
    lines = (tmp_path / "run.trec").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "q1 Q0 b 1 2.5 mine"
    back = read_run(tmp_path / "run.trec")
    assert list(back) == ["q1", "q2"]
    for query in run:
        assert back[query].ids.tolist() == run[query].ids.tolist()
        np.testing.assert_array_equal(back[query].scores, run[query].scores)


def test_ties_in_a_file_are_taken_as_trec_eval_takes_them(tmp_path: Path) -> None:
    text = "q Q0 a 1 1.0 t\nq Q0 c 2 1.0 t\n\nq\t0\tb 9 3 t\n"
    (tmp_path / "run.gz").write_bytes(gzip.compress(text.encode()))
    [found] = read_run(tmp_path / "run.gz").values()
    assert found.ids.tolist() == ["b", "c", "a"]
    qrels = {"q": {"a": 1}}
    judge = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"})
    judged = judge.evaluate(pytrec_eval.parse_run(text.replace("\n\n", "\n").splitlines()))
    [[value]] = measure({"q": found.ids.tolist()}, qrels, ["MRR"])
    assert value == judged["q"]["recip_rank"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 a 1 1.0\n", "line 1: expected query id, Q0, document id, rank, score and tag"),
        ("q Q0 a 1 1.0 t\nq Q0 b 2 high t\n", "line 2: expected query id"),
        ("q Q0 a 1 nan t\n", "line 1: expected a finite score, found nan"),
        ("q Q0 a 1 1e99 t\n", "expected a finite score"),
        ("q Q0 a 1 2 t\nq Q0 a 2 1 t\n", "line 2: document 'a' came before for query 'q'"),
    ],
)
def test_lines_that_are_no_run(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_run(tmp_path / "run")


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("run", "tag", "message"),
    [
        ({"q 1": run_of(["a"], [1])}, "t", "query id 'q 1'"),
        ({"q": run_of([""], [1])}, "t", "document id ''"),
        ({"q": run_of(["a\n"], [1])}, "t", "document id"),
        ({}, "my run", "tag 'my run'"),
    ],
)
def test_what_the_format_cannot_say(run: Any, tag: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        write_run(io.StringIO(), run, tag)
