from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from twopass.reranker import FallbackScorer
from twopass.reranker.contract.errors import InputError, OverloadedError, RerankerError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores

PAIRS = [("q", "one"), ("q", "three"), ("q", "")]


class Saying(Scorer):
    """Scores everything with one number, or does what else it is told."""

    def __init__(self, value: float = 1.0, *, error: Exception | None = None, reaches: int = 9):
        self.value, self.error, self.reaches = value, error, reaches
        self.calls = 0

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        self.calls += 1
        self.deadline = deadline
        if self.error:
            raise self.error
        values = np.full(len(pairs), self.value, dtype=np.float32)
        values[self.reaches :] = np.nan
        return Scores(values, "late" if np.isnan(values).any() else "", "someone")


def test_the_first_answers_where_it_can() -> None:
    second = Saying(2)
    scores = FallbackScorer({"gpu": Saying(1), "cpu": second}).score(PAIRS)
    assert scores.values.tolist() == [1, 1, 1]
    assert (scores.by, scores.reason, second.calls) == ("gpu", "", 0)


def test_the_next_answers_and_says_why() -> None:
    broken = Saying(error=OverloadedError("queue full", retry_after=1))
    chain = FallbackScorer({"gpu": broken, "cpu": Saying(2), "none": None})
    scores = chain.score(PAIRS)
    assert scores.values.tolist() == [2, 2, 2]
    assert (scores.by, scores.reason) == ("cpu", "gpu: OverloadedError: queue full")
    assert chain.predict(PAIRS).tolist() == [2, 2, 2]
    broken.error = None
    assert chain.score(PAIRS).by == "gpu"


def test_none_at_the_end_or_the_last_error() -> None:
    broken = Saying(error=RerankerError("gone"))
    scores = FallbackScorer({"gpu": broken, "none": None}).score(PAIRS)
    assert (scores.scored, scores.by, scores.reason) == (0, "none", "gpu: RerankerError: gone")
    with pytest.raises(RerankerError, match="gone"):
        FallbackScorer({"first": broken, "gpu": broken}).score(PAIRS)


def test_a_part_is_an_answer_and_nothing_is_none() -> None:
    second = Saying(2)
    part = FallbackScorer({"gpu": Saying(1, reaches=2), "cpu": second}).score(PAIRS, deadline=9)
    np.testing.assert_array_equal(part.values, np.float32([1, 1, np.nan]))
    assert (part.by, part.reason, second.calls) == ("gpu", "late", 0)
    rest = FallbackScorer({"gpu": Saying(1, reaches=0), "cpu": second}).score(PAIRS, deadline=9)
    assert (rest.by, rest.reason) == ("cpu", "gpu: late")
    out = FallbackScorer({"gpu": Saying(1, reaches=0), "cpu": second}).score(PAIRS, deadline=-1)
    assert (out.by, out.scored, second.calls) == ("gpu", 0, 1)


def test_pairs_that_nobody_can_score_are_an_error() -> None:
    second = Saying(2)
    chain = FallbackScorer({"gpu": Saying(error=InputError("pair 1")), "cpu": second})
    with pytest.raises(InputError, match="pair 1"):
        chain.score(PAIRS)
    assert second.calls == 0


def test_scorers_are_made_when_needed_and_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("twopass.reranker.scorers.fallback.monotonic", lambda: now[0])
    made: list[str] = []

    def make_gpu() -> Saying:
        made.append("gpu")
        if len(made) == 1:
            raise RuntimeError("no device")
        return Saying(1)

    def make_cpu() -> Saying:
        made.append("cpu")
        return Saying(2)

    chain = FallbackScorer({"gpu": make_gpu, "cpu": make_cpu})
    assert made == []
    assert chain.score(PAIRS).reason == "gpu: RuntimeError: no device"
    assert chain.score(PAIRS).by == "cpu"
    assert made == ["gpu", "cpu"]
    now[0] += 61
    assert chain.score(PAIRS).by == "gpu"
    assert chain.score(PAIRS).by == "gpu"
    assert made == ["gpu", "cpu", "gpu"]


@pytest.mark.parametrize("links", [{}, {"none": None}, {"none": None, "cpu": Saying()}])
def test_chains_that_are_none(links: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        FallbackScorer(links)
