"""A wrapped scorer describes itself, and scores, as the one that it wraps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scorer_stacks import STACKS, stacked

from twopass.reranker import (
    BatchingScorer,
    CachingScorer,
    Cascade,
    CrossEncoder,
    FallbackScorer,
    PairScorer,
    RerankerError,
    Scorer,
    Wrapper,
)

QUERY = "capital of Germany"
PAIRS = [(QUERY, text) for text in ("Berlin has museums", "rivers", "people and museums", "")]

CHANGES = {"calibration", "passages"}  # a score, or what comes with it
UNKNOWN = {"cascade", "fallback"}  # what the score of a pair depends on


@pytest.fixture(scope="module", params=["bounded", "logits"])
def bare(request: pytest.FixtureRequest, tiny: Callable[..., Path]) -> CrossEncoder:
    activation = None if request.param == "bounded" else lambda logits: logits
    return CrossEncoder(tiny("bert"), device="cpu", token_budget=12_345, activation_fn=activation)


@pytest.mark.parametrize("names", STACKS, ids=" of ".join)
def test_a_stack_says_and_scores_what_its_scorer_does(
    names: tuple[str, ...], bare: CrossEncoder
) -> None:
    with stacked(names, bare) as scorer:
        assert scorer.name == bare.name
        assert scorer.max_length == bare.max_length
        assert scorer.token_budget == bare.token_budget == 12_345
        assert scorer.bounded is bare.bounded
        assert scorer.encoder is bare.encoder
        assert bare in scorer.walk()
        scores, own = scorer.score(PAIRS), bare.score(PAIRS)
        np.testing.assert_allclose(scores.values, own.values, rtol=1e-5)
        np.testing.assert_allclose(scorer.predict(PAIRS), own.values, rtol=1e-5)
        np.testing.assert_array_equal(scores.truncated, own.truncated)
        assert scores.reason == ""
        assert (scores.probabilities is not None) is ("calibration" in names)
        assert set(scores.columns) == {"cheap"} & {n.replace("cascade", "cheap") for n in names}


@pytest.mark.parametrize("names", STACKS, ids=" of ".join)
def test_a_fingerprint_tells_who_changes_what_comes_out(
    names: tuple[str, ...], bare: CrossEncoder
) -> None:
    with stacked(names, bare) as scorer:
        if "cache" in names and UNKNOWN & set(names):
            return  # the cache's own
        if UNKNOWN & set(names):
            assert scorer.fingerprint is None
            with pytest.raises(RerankerError, match="expected a scorer that has a fingerprint"):
                CachingScorer(scorer)
        else:
            changed = bool(CHANGES & set(names))
            assert (scorer.fingerprint != bare.fingerprint) is changed


def test_order_matters_to_a_fingerprint(bare: CrossEncoder) -> None:
    with (
        stacked(("calibration", "passages"), bare) as one,
        stacked(("passages", "calibration"), bare) as other,
        stacked(("passages", "calibration"), bare) as same,
    ):
        assert one.fingerprint != other.fingerprint == same.fingerprint


class Broken:
    """Makes no scorer, and counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> PairScorer:
        self.calls += 1
        raise RerankerError("no such device")


def test_a_chain_describes_itself_by_the_first_that_could_be_loaded(bare: CrossEncoder) -> None:
    broken, later = Broken(), Broken()
    chain = FallbackScorer({"gpu": broken, "cpu": bare, "later": later})
    for _ in range(3):
        assert (chain.name, chain.max_length) == (bare.name, bare.max_length)
    assert list(chain.scorers) == [bare]
    assert (broken.calls, later.calls) == (1, 0)
    assert chain.score(PAIRS).by == "cpu"


def test_a_chain_that_cannot_load_anything_describes_nothing() -> None:
    broken = Broken()
    chain = FallbackScorer({"gpu": broken, "none": None}, pause=0)
    with BatchingScorer(chain) as batching:
        assert (batching.name, batching.max_length, batching.encoder) == ("none", None, None)
        assert broken.calls == 1, "a description is not worth a second attempt"
        assert batching.score(PAIRS).scored == 0
    assert broken.calls == 2


def test_every_scorer_of_a_stack_is_found_once(bare: CrossEncoder) -> None:
    cache = CachingScorer(bare)
    chain = FallbackScorer({"first": cache, "none": None})
    stack = Wrapper(Cascade(cache, chain))
    assert cache not in chain.walk(), "not loaded yet"
    stack.predict(PAIRS)
    assert [type(each).__name__ for each in stack.walk()].count("CachingScorer") == 1
    assert {bare, cache, chain} <= set(stack.walk())


def test_a_wrapper_of_a_plain_scorer_knows_only_its_name() -> None:
    class Lengths:
        def predict(self, pairs: list[tuple[str, str]]) -> np.ndarray:
            return np.array([len(text) for _, text in pairs], dtype=np.float32)

    scorer: Scorer = Wrapper(Lengths())
    assert scorer.name == "Lengths"
    assert (scorer.max_length, scorer.token_budget, scorer.encoder) == (None, None, None)
    assert (scorer.bounded, scorer.fingerprint) == (False, None)
    assert scorer.predict(PAIRS).tolist() == [len(text) for _, text in PAIRS]
