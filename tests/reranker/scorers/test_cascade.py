"""A cascade: the costly scorer reads what the cheap one likes best, and no column mixes the two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.reranker.contract.errors import InputError, UnscoredError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.cascade import Cascade


class Lengths:
    """Scores a pair by its passage's length."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign
        self.seen: list[tuple[str, str]] = []

    def predict(self, pairs):
        self.seen.extend(pairs)
        return np.array([self.sign * len(text) for _, text in pairs], dtype=np.float32)


PAIRS = st.lists(st.tuples(st.sampled_from("pq"), st.text("x", max_size=9)), max_size=20)


@given(pairs=PAIRS, keep=st.integers(1, 6))
def test_each_querys_best_are_read_and_nothing_else(pairs, keep):
    costly = Lengths(-1)
    scores = Cascade(Lengths(), costly, keep=keep).score(pairs)
    cheap = scores.columns["cheap"]
    assert cheap.tolist() == [len(text) for _, text in pairs]
    read = ~np.isnan(scores.values)
    np.testing.assert_array_equal(scores.values[read], -cheap[read])
    assert len(costly.seen) == read.sum()
    for query in "pq":
        own = np.array([asked == query for asked, _ in pairs], dtype=bool)
        assert (own & read).sum() == min(keep, own.sum())
        if (own & read).any() and (own & ~read).any():
            assert cheap[own & read].min() >= cheap[own & ~read].max()
    assert not scores.reason, "all went as it was meant to"
    passed_over = np.zeros(len(pairs), bool) if scores.passed_over is None else scores.passed_over
    np.testing.assert_array_equal(passed_over, ~read)
    assert scores.wanted == scores.scored


def test_the_best_of_every_query_go_first():
    costly = Lengths()
    pairs = [("p", "x"), ("p", "xx"), ("q", "xxx"), ("q", "xxxx")]
    Cascade(Lengths(), costly, keep=2).score(pairs)
    assert costly.seen == [("q", "xxxx"), ("p", "xx"), ("q", "xxx"), ("p", "x")]


def test_what_the_costly_one_says_beside_scores_is_kept():
    class Detailed(Scorer):
        def score(self, pairs, **_):
            n = len(pairs)
            return Scores(
                Lengths().predict(pairs),
                by="big",
                columns={"more": np.arange(n, dtype=np.float32)},
                evidence=np.array([text for _, text in pairs], dtype=object),
                truncated=np.ones(n, dtype=bool),
                probabilities=np.full(n, 0.5, dtype=np.float32),
            )

    scores = Cascade(Lengths(), Detailed(), keep=1).score([("p", "x"), ("p", "xx")])
    assert scores.by == "big"
    assert scores.evidence.tolist() == [None, "xx"]
    assert scores.truncated.tolist() == [False, True]
    np.testing.assert_array_equal(scores.probabilities, [np.nan, 0.5])
    assert list(scores.columns) == ["cheap", "more"]
    np.testing.assert_array_equal(scores.columns["more"], [np.nan, 0])


def test_cascades_nest():
    inner = Cascade(Lengths(), Lengths(-1), keep=2)
    scores = Cascade(Lengths(), inner, keep=3, name="first").score(
        [("p", "x" * n) for n in range(5)]
    )
    np.testing.assert_array_equal(scores.columns["first"], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(scores.columns["cheap"], [np.nan, np.nan, 2, 3, 4])
    np.testing.assert_array_equal(scores.values, [np.nan, np.nan, np.nan, -3, -4])


def test_a_deadline_that_has_passed_scores_nothing():
    scores = Cascade(Lengths(), Lengths(), keep=2).score([("p", "x")], deadline=0.0)
    assert scores.scored == 0
    assert "time" in scores.reason


def test_predict_is_for_those_who_keep_all():
    pairs = [("p", "x"), ("p", "xx")]
    assert Cascade(Lengths(), Lengths(-1), keep=2).predict(pairs).tolist() == [-1, -2]
    with pytest.raises(UnscoredError, match="passed over"):
        Cascade(Lengths(), Lengths(-1), keep=1).predict(pairs)


def test_keep_is_a_count():
    with pytest.raises(InputError, match="at least 1"):
        Cascade(Lengths(), Lengths(), keep=0)
