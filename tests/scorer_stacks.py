"""Every wrapper of a scorer, and every stack of two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any, cast

import numpy as np

from twopass.reranker import (
    BatchingScorer,
    CachingScorer,
    CalibratedScorer,
    Calibration,
    Cascade,
    FallbackScorer,
    PairScorer,
    PassageScorer,
    Scorer,
    Wrapper,
)
from twopass.reranker.scorers.calibration_curves import Platt

__all__ = ["STACKS", "stacked"]


class _Lengths:
    def predict(self, pairs: Sequence[tuple[str, str]]) -> Any:
        return np.array([len(text) for _, text in pairs], dtype=np.float32)


def _never() -> PairScorer:
    raise AssertionError("expected that a chain whose first scorer answers loads no other")


def _calibrated(scorer: Scorer) -> Scorer:
    """Calibrate so that probabilities are what the sigmoid of the logits is."""
    return CalibratedScorer(scorer, Calibration(Platt(1, 0), from_probabilities=scorer.bounded))


_WRAPPERS: dict[str, Callable[[Scorer], Scorer]] = {
    "plain": Wrapper,
    "batching": BatchingScorer,
    "cache": lambda scorer: CachingScorer(scorer, fingerprint=scorer.fingerprint or "unknown"),
    "calibration": _calibrated,
    "passages": lambda scorer: PassageScorer(scorer, cast("Any", scorer.encoder)),
    "fallback to none": lambda scorer: FallbackScorer({"model": lambda: scorer, "none": None}),
    "fallback": lambda scorer: FallbackScorer({"model": scorer, "later": _never}),
    "cascade": lambda scorer: Cascade(_Lengths(), scorer, keep=100),
}

STACKS: list[tuple[str, ...]] = [(name,) for name in _WRAPPERS]
STACKS += product(_WRAPPERS, _WRAPPERS)


@contextmanager
def stacked(names: Sequence[str], scorer: Scorer) -> Iterator[Scorer]:
    """Wrap the scorer, the first name outermost, and close what must be closed."""
    with ExitStack() as closing:
        for name in reversed(names):
            scorer = _WRAPPERS[name](scorer)
            if isinstance(scorer, BatchingScorer):
                closing.enter_context(scorer)
        yield scorer
