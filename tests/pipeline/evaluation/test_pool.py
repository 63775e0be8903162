"""Scores that were collected once: other depths, missed documents, single queries, curves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bert import save_tiny_bert

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation import Pool, by_depth, cases, collect, evaluate, missed_documents
from twopass.pipeline.evaluation.plots import plot_depth, plot_gains
from twopass.pipeline.fusion import fusion, reranker
from twopass.reranker.scorers.cross_encoder import CrossEncoder as OurCrossEncoder
from twopass.retriever.corpus import read_documents, read_qrels, read_queries
from twopass.retriever.index.index import BM25Index

QUERIES = {"q1": "cat hunts mice", "q2": "owl at night", "q3": "zebra", "q4": "not judged"}
QRELS = {"q3": {"d00": 1}, "q1": {"d03": 2, "d04": 1}, "q2": {"d57": 1, "d58": 0}}
WEIGHTED = fusion("weighted", weights=[0.5, 0.5])


@pytest.fixture
def pool(animals: BM25Index, overlap: Any) -> Pool:
    return collect(animals, overlap, QUERIES, QRELS, depth=12, k=20)


@pytest.mark.parametrize("depth", [1, 3, 7, 12])
def test_a_lesser_depth_is_what_scoring_less_gives(
    animals: BM25Index, overlap: Any, pool: Pool, depth: int
) -> None:
    less = collect(animals, overlap, QUERIES, QRELS, depth=depth, k=20)
    for method in (WEIGHTED, reranker, fusion("rrf")):
        cut, scored = pool.fused(method, depth=depth), less.fused(method)
        for query in QRELS:
            assert cut[query].ids.tolist() == scored[query].ids.tolist()
            np.testing.assert_array_equal(cut[query].scores, scored[query].scores)


def test_texts_are_not_kept(pool: Pool) -> None:
    assert {text for found in pool.candidates.values() for text in found.hits.texts} == {""}


def test_missed_documents_are_scored_behind_the_others(animals: BM25Index, overlap: Any) -> None:
    qrels = {"q3": {"d00": 1}, "q2": {"d57": 1, "d40": 1, "d58": 0}}
    texts = missed_documents(animals.documents(), qrels)
    pool = collect(animals, overlap, QUERIES, qrels, depth=5, k=5, missed=texts)
    first, second = pool.first(), pool.fused(reranker)
    assert first["q3"].ids.tolist() == []  # nothing relevant was found: it counts 0
    assert second["q3"].ids.tolist() == ["d00"]
    assert len(second["q2"].ids) == 6  # five and the one that was missed
    assert first["q2"].ids.tolist()[-1] == "d40"
    assert {"d40", "d57"} < set(second["q2"].ids)
    with pytest.raises(EvaluationError, match="found none for 1 of 1, for example 'gone'"):
        missed_documents(animals.documents(), {"q": {"gone": 1}})


def test_agreement_with_sentence_transformers(data: Callable[[str], Path], tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    folder, letters = data("nq-qed"), "abcdefghijklmnopqrstuvwxyz"
    # one that reads letter by letter, so that no two passages look alike to it
    model = save_tiny_bert(
        tmp_path / "model", [*letters, *(f"##{each}" for each in letters)], max_length=512
    )
    queries = read_queries(folder / "queries.jsonl.gz")
    qrels = dict(islice(read_qrels(folder / "qrels" / "dev.tsv").items(), 40))
    index = BM25Index.build(read_documents(folder))
    texts = missed_documents(index.documents(), qrels)
    found = evaluate(
        index, OurCrossEncoder(model), {}, queries, qrels, depth=10, k=10, missed=texts,
        measures=["MAP", "MRR@10", "nDCG@10"],
    )  # fmt: skip
    hits = index.search([queries[query] for query in qrels], 10)
    samples = [
        {
            "query": queries[query],
            "positive": [texts[id] for id, grade in qrels[query].items() if grade > 0],
            "documents": each.texts.tolist(),
        }
        for query, each in zip(qrels, hits, strict=True)
    ]
    theirs = CrossEncoderRerankingEvaluator(samples, name="dev", write_csv=False)(
        CrossEncoder(str(model), device="cpu")
    )
    for name, key in (("MAP", "map"), ("MRR@10", "mrr@10"), ("nDCG@10", "ndcg@10")):
        assert found.means("cross-encoder")[name] == pytest.approx(theirs[f"dev_{key}"], abs=1e-6)
        assert found.means("BM25")[name] == pytest.approx(theirs[f"dev_base_{key}"], abs=1e-6)


def test_cases_are_the_queries_that_moved_most(animals: BM25Index, overlap: Any) -> None:
    qrels = {"q1": {"d20": 1, "d33": 1}, "q2": {"d40": 1, "d10": 1}, "q3": {"d00": 1}}
    found = evaluate(animals, overlap, {}, QUERIES, qrels, depth=30, k=30, measures=["MRR@10"])
    apart = found.values("cross-encoder")[0] - found.values("BM25")[0]
    won, lost = cases(found, "cross-encoder", qrels)
    assert [case.query for case in won] == [
        found.queries[i] for i in np.argsort(-apart) if apart[i] > 0
    ]
    assert [case.query for case in lost] == [
        found.queries[i] for i in np.argsort(apart) if apart[i] < 0
    ]
    assert won or lost
    for case in (*won, *lost):
        ids = found.systems["cross-encoder"].run[case.query].ids.tolist()
        assert case.top == ids[0]
        for move in case.moves:
            assert move.after == (ids.index(move.id) + 1 if move.id in ids else None)
    with pytest.raises(EvaluationError, match="unknown measure 'MAP'"):
        cases(found, "cross-encoder", qrels, measure="MAP")


def test_the_curve_ends_where_the_pool_does(pool: Pool) -> None:
    curve = by_depth(pool, WEIGHTED, measure="MRR@10")
    assert curve.depths == (0, 5, 10, 12)
    np.testing.assert_array_equal(curve.values[0], pool.measured(pool.first(), ["MRR@10"])[0])
    np.testing.assert_array_equal(
        curve.values[-1], pool.measured(pool.fused(WEIGHTED), ["MRR@10"])[0]
    )
    assert curve.seconds[0] == pool.timings.retrieval
    assert curve.seconds[-1] == pytest.approx(pool.timings.retrieval + pool.timings.rerank)
    assert curve.recommended <= curve.best


def test_plots_are_files(pool: Pool, tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    from PIL import Image

    plot_depth({"weighted": by_depth(pool, WEIGHTED)}, tmp_path / "plots" / "depth")
    plot_gains(pool.evaluate({}), "cross-encoder", tmp_path / "plots" / "gains")
    for name in ("depth", "gains"):
        with Image.open(tmp_path / "plots" / f"{name}.png") as image:
            assert image.width > 500
            assert len(image.convert("L").getcolors() or ()) > 10  # something was drawn
        assert ET.parse(tmp_path / "plots" / f"{name}.svg").getroot().tag.endswith("svg")
