from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.reranker.contract.errors import InputError, OutputError, UnscoredError
from twopass.reranker.contract.scorer import PairScorer, as_scorer
from twopass.reranker.contract.scores import Scores, Span

NAN = np.nan


def scores(**changes: Any) -> Scores:
    given: dict[str, Any] = {
        "values": np.float32([3, NAN, 1]),
        "reason": "out of time",
        "by": "model",
        "columns": {"cheap": np.float32([1, 2, NAN])},
        "evidence": np.array([Span(0, 4, 2, 1), None, Span(2, 9, 3, 3)], dtype=object),
        "truncated": np.array([True, False, False]),
    }
    return Scores(**given | changes)


def test_what_is_taken_stays_together() -> None:
    taken = scores().take(np.array([2, 1]))
    np.testing.assert_array_equal(taken.values, [1, NAN])
    np.testing.assert_array_equal(taken.columns["cheap"], [NAN, 2])
    assert taken.evidence is not None
    assert taken.evidence.tolist() == [Span(2, 9, 3, 3), None]
    assert taken.truncated is not None
    assert taken.truncated.tolist() == [False, False]
    assert (taken.reason, taken.by, taken.scored, taken.complete) == ("out of time", "model", 1, 0)


def test_what_was_all_scored_needs_no_reason() -> None:
    assert scores().take(np.array([0, 2])).reason == ""
    fallen_back = scores(values=np.float32([3, 2, 1]), reason="the first did not answer")
    assert fallen_back.take(slice(0, 1)).reason == "the first did not answer"


def test_whole_or_an_error() -> None:
    whole = scores(values=np.float32([3, 2, 1]), reason="")
    assert whole.whole() is whole.values
    with pytest.raises(UnscoredError, match="each of 3 pairs, found 2: out of time"):
        scores().whole()
    assert Scores.none(0, "").complete


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.float64([1, 2, 3])}, "expected 'values' of shape .* dtype float32"),
        ({"values": np.float32([[1, 2, 3]])}, "expected 'values' of shape"),
        ({"values": np.float32([1, 2, np.inf])}, "finite scores, .* in 'values'"),
        ({"columns": {"cheap": np.float32([1, 2])}}, "expected 'cheap' of shape"),
        ({"columns": {"cheap": np.float32([1, np.inf, 2])}}, "finite .* in 'cheap'"),
        ({"evidence": np.array([None], dtype=object)}, "expected 'evidence' of shape"),
        ({"truncated": np.array([0, 1, 0])}, "expected 'truncated' .* bool"),
        ({"reason": ""}, "expected a reason"),
    ],
)
def test_scores_that_break_a_promise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores(**changes)


@pytest.mark.parametrize(
    "changes", [{"start": 5}, {"start": -1}, {"read": 0}, {"read": 4}, {"passages": 0}]
)
def test_a_span_that_contradicts_itself(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected a part of a text"):
        replace(Span(0, 4, 3, 2), **changes)


class Lengths:
    """Scores a pair by the length of its texts, and remembers how many it was asked for at once."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, pairs: Any) -> Any:
        self.calls.append(len(pairs))
        return np.array([len(query) + len(text) for query, text in pairs], dtype=np.float32)


PAIRS = [("query", "word " * (n % 7)) for n in range(50)]


def test_a_plain_scorer_is_lifted_once() -> None:
    plain = Lengths()
    assert not hasattr(plain, "score")
    lifted = as_scorer(plain)
    assert as_scorer(lifted) is lifted
    assert isinstance(lifted, PairScorer)
    found = lifted.score(PAIRS)
    np.testing.assert_array_equal(found.values, plain.predict(PAIRS))
    assert plain.calls == [50, 50]
    assert (found.reason, found.by) == ("", "Lengths")
    assert len(lifted.score([])) == 0


@settings(deadline=None)
@given(n=st.integers(0, 50), deadline=st.sampled_from([60.0, 1e9, float("inf")]))
def test_with_time_enough_a_deadline_changes_nothing(n: int, deadline: float) -> None:
    found = as_scorer(Lengths()).score(PAIRS[:n], deadline=deadline)
    np.testing.assert_array_equal(found.values, Lengths().predict(PAIRS[:n]))
    assert found.complete
    assert found.reason == ""


@pytest.mark.parametrize("deadline", [0, -1.0, float("-inf")])
def test_without_time_nothing_is_done(deadline: float) -> None:
    plain = Lengths()
    found = as_scorer(plain).score(PAIRS, deadline=deadline)
    assert found.scored == 0
    assert "0 of 50 scored" in found.reason
    assert plain.calls == []


@pytest.mark.parametrize("deadline", ["soon", True, float("nan")])
def test_a_deadline_is_a_number(deadline: Any) -> None:
    with pytest.raises(InputError, match="expected a deadline in seconds"):
        as_scorer(Lengths()).score(PAIRS, deadline=deadline)


def test_a_lifted_scorer_is_held_to_its_promise() -> None:
    plain = Lengths()
    plain.predict = lambda pairs: np.zeros(len(pairs) + 1, dtype=np.float32)  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="expected one score a pair from Lengths"):
        as_scorer(plain).score(PAIRS)
