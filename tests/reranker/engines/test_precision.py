"""The gate of cheaper precisions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.reranker.contract.errors import InputError
from twopass.reranker.engines.precision import Judged, compare, ndcg
from twopass.reranker.scorers.cross_encoder import CrossEncoder

JUDGEMENTS = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=30
).filter(lambda rows: any(gain for _, gain in rows))


def read_texts(path: Path) -> dict[str, str]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        return {record["_id"]: record["text"] for record in map(json.loads, lines)}


class Fixed:
    """Scores documents by their own text, with a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, pairs):
        return np.array([self.factor * float(text) for _, text in pairs], dtype=np.float32)


@given(rows=JUDGEMENTS)
def test_ndcg_is_that_of_trec_eval(rows):
    import pytrec_eval

    # strictly falling scores, so that no rule for ties has a say
    order = np.argsort([-score for score, _ in rows], kind="stable")
    scores = np.empty(len(rows), dtype=np.float32)
    scores[order] = -np.arange(len(rows))
    gains = [gain for _, gain in rows]
    qrels = {"q": {str(i): gain for i, gain in enumerate(gains)}}
    run = {"q": {str(i): float(score) for i, score in enumerate(scores)}}
    judge = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"})
    assert ndcg(scores, gains) == pytest.approx(judge.evaluate(run)["q"]["ndcg_cut_10"], abs=1e-9)


def test_compares_two_scorers():
    documents = [str(i) for i in range(20)]
    judged = [Judged("q", documents, [0] * 19 + [1]), Judged("r", ["1", "2"], [0, 2])]
    same = compare(Fixed(1), Fixed(2), judged)
    assert (same.reference, same.candidate, same.loss) == (1, 1, 0)
    assert (same.agreement, same.queries) == (1, 2)
    assert same.passes()
    worse = compare(Fixed(1), Fixed(-1), judged)
    assert worse.candidate == pytest.approx((0 + 1 / np.log2(3)) / 2)
    assert worse.agreement == pytest.approx((0 + 1) / 2)
    assert not worse.passes()
    assert worse.passes(0.9)
    assert compare(Fixed(-1), Fixed(1), judged).passes()  # ahead is not behind


def test_nothing_relevant_is_worth_nothing():
    assert ndcg(np.array([1, 2], dtype=np.float32), [0, 0]) == 0


def test_refuses_what_cannot_be_judged():
    with pytest.raises(InputError, match="found none"):
        compare(Fixed(1), Fixed(1), [])
    with pytest.raises(InputError, match="found 1 for 2"):
        Judged("q", ["a", "b"], [1])
    with pytest.raises(InputError, match="found -1"):
        Judged("q", ["a"], [-1])


def test_int8_of_the_model_that_ships_ranks_a_collection_as_fp32_does(data):
    """A few queries of real judgements: a model that int8 breaks would lose most of them."""
    folder = data("nfcorpus")
    queries, texts = (read_texts(folder / name) for name in ("queries.jsonl", "corpus.jsonl.gz"))
    rows = [line.split("\t") for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]]
    judged = []
    some = sorted(texts)[::300]
    for query in sorted({row[0] for row in rows})[:4]:
        relevant = [row[1] for row in rows if row[0] == query][:6]
        documents = [*relevant, *(name for name in some if name not in relevant)]
        gains = [1] * len(relevant) + [0] * (len(documents) - len(relevant))
        judged.append(Judged(queries[query], [texts[d][:400] for d in documents], gains))
    full, brief = (CrossEncoder(precision=p, device="cpu") for p in ("fp32", "int8"))
    quality = compare(full, brief, judged)
    assert quality.reference > 0.3
    assert abs(quality.loss) < 0.05
    assert quality.agreement > 0.8
