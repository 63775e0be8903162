"""Scoring until time is up, on a clock that only work moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twopass.reranker import CrossEncoder, Scorer
from twopass.reranker.contract import deadlines
from twopass.reranker.contract.deadlines import Deadline, Pace, estimated_tokens, score_until

SHARED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadlines, "monotonic", clock)
    monkeypatch.setattr(deadlines, "perf_counter", clock)
    return clock


def worker(
    clock: Clock, tokens: NDArray[np.int64], speed: Callable[[], float]
) -> Callable[[slice], NDArray[np.float32]]:
    """Score a pair with its number; a token takes 1 ms, times what speed() says."""

    def predict(part: slice) -> NDArray[np.float32]:
        clock.now += 0.001 * int(tokens[part].sum()) * speed()
        return np.arange(len(tokens), dtype=np.float32)[part]

    return predict


TOKENS = st.lists(st.integers(1, 80), min_size=1, max_size=60).map(np.array)


@SHARED
@given(tokens=TOKENS, seconds=st.floats(0.01, 6))
def test_an_even_pace_ends_in_time_and_wastes_nothing(
    clock: Clock, tokens: NDArray[np.int64], seconds: float
) -> None:
    pace = Pace()
    pace.learn(1, 0.001)
    deadline = Deadline.after(seconds)
    scores = score_until(deadline, worker(clock, tokens, lambda: 1.0), tokens, pace)
    reached = np.count_nonzero(~np.isnan(scores))
    np.testing.assert_array_equal(scores[:reached], np.arange(reached))
    assert np.isnan(scores[reached:]).all()
    assert deadline.left >= -1e-6
    if reached < len(tokens):
        assert 0.001 * tokens[reached] > deadline.left - 1e-6


@SHARED
@given(
    tokens=st.lists(st.integers(20, 80), min_size=20, max_size=60).map(np.array),
    seconds=st.floats(0.3, 3),
    seed=st.integers(0, 99),
)
def test_an_uneven_pace_overshoots_by_little(
    clock: Clock, tokens: NDArray[np.int64], seconds: float, seed: int
) -> None:
    speeds = np.random.default_rng(seed)
    deadline = Deadline.after(seconds)
    work = worker(clock, tokens, lambda: float(speeds.uniform(0.7, 1.3)))
    score_until(deadline, work, tokens, Pace())
    assert deadline.left > -0.1  # little more than what one pair takes, however long the deadline


def test_an_unknown_pace_is_tried_with_one_pair(clock: Clock) -> None:
    tokens = np.full(100, 50)
    scores = score_until(Deadline.after(0.01), worker(clock, tokens, lambda: 1.0), tokens, Pace())
    assert np.count_nonzero(~np.isnan(scores)) == 1


def test_a_pace_forgets(clock: Clock) -> None:
    pace = Pace()
    assert not pace.known
    for _ in range(50):
        pace.learn(100, 1.0)
    assert pace.seconds_per_token == pytest.approx(0.01)
    pace.learn(100, 2.0)
    assert pace.seconds_per_token > 0.0125  # the mean has moved, and it is unsteady
    for _ in range(50):
        pace.learn(100, 0.5)
    assert pace.seconds_per_token == pytest.approx(0.005, rel=0.01)


def test_what_is_left(clock: Clock) -> None:
    deadline = Deadline.after(2)
    clock.now += 1.5
    assert deadline.remaining == deadline.left == 0.5
    assert not deadline.passed
    clock.now += 1
    assert deadline.passed
    assert Deadline.after(None).remaining is None
    assert Deadline.after(float("inf")).remaining is None


def test_tokens_by_guess() -> None:
    assert estimated_tokens(
        [("", ""), ("four", "four" * 9), ("q", "x" * 10_000)], 320
    ).tolist() == [
        1,
        11,
        320,
    ]


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path]) -> CrossEncoder:
    return CrossEncoder(tiny("bert"), device="cpu")


PAIRS = [
    ("capital of Germany", f"Berlin has {n} museums, rivers and " + "people " * (n % 9))
    for n in range(40)
]


def test_a_cross_encoder_with_time_enough(model: CrossEncoder) -> None:
    assert isinstance(model, Scorer)
    found, timed = model.score(PAIRS), model.score(PAIRS, deadline=600)
    np.testing.assert_array_equal(found.values, model.predict(PAIRS))
    np.testing.assert_allclose(timed.values, found.values, atol=1e-6)
    assert found.truncated is not None
    np.testing.assert_array_equal(found.truncated, model.logits(PAIRS).truncated)
    assert "bert" in timed.by


def test_a_cross_encoder_out_of_time(tiny: Callable[..., Path], clock: Clock) -> None:
    model = CrossEncoder(tiny("bert"), device="cpu")  # its pace is unknown yet

    def ticking() -> float:
        clock.now += 0.02
        return clock.now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlines, "monotonic", ticking)
        patch.setattr(deadlines, "perf_counter", ticking)
        found = model.score(PAIRS, deadline=0.2)
    assert 0 < found.scored < len(PAIRS)
    np.testing.assert_allclose(
        found.values[: found.scored], model.predict(PAIRS[: found.scored]), atol=1e-6
    )
    assert found.reason == f"out of time (0.2 s): {found.scored} of 40 scored"
