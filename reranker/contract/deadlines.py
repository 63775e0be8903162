"""Scoring until time is up: how much is left, what still fits, and what was reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic, perf_counter

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError

__all__ = ["NO_DEADLINE", "Deadline", "Pace", "estimated_tokens", "score_until"]

_LONGEST = 0.25  # seconds a slice: so far ahead may an estimate err
_CHARACTERS_PER_TOKEN = 4
_LONGEST_READ = 4096  # tokens of a pair, where a scorer does not say


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, and how far off it was when it was set.

    Attributes:
        seconds: how long there was; infinite for no deadline.
        ends: when time is up, on the clock of ``time.monotonic``.

    """

    seconds: float
    ends: float

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Set a deadline in so many seconds from now; None is none at all.

        Raises:
            InputError: when it is no number.

        """
        if seconds is None:
            return cls(math.inf, math.inf)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or math.isnan(seconds):
            raise InputError(f"expected a deadline in seconds from now, found {seconds!r}")
        return cls(float(seconds), monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds until time is up: infinite without a deadline, negative when it has passed."""
        return self.ends - monotonic()

    @property
    def passed(self) -> bool:
        """Whether time is up."""
        return self.left <= 0

    @property
    def remaining(self) -> float | None:
        """What to hand on as ``deadline=`` to another scorer; None without a deadline."""
        return None if self.ends == math.inf else self.left

    def reason(self, scored: int, pairs: int) -> str:
        """Say what was reached, for the reason of partial scores."""
        return f"out of time ({self.seconds:.3g} s): {scored} of {pairs} scored"


NO_DEADLINE = Deadline.after(None)


class Pace:
    """How long a token takes, learnt from what was done; safe to share between threads.

    The mean of recent measurements and their mean deviation, as TCP keeps them of its round trips
    (Jacobson 1988, "Congestion avoidance and control"): what is expected is the mean and one
    deviation more, so that an unsteady machine is given less to do. The first measurement is often
    slow, for what is loaded late is loaded by it, and counts only until there is a second.
    """

    _GAIN = 1 / 4

    def __init__(self) -> None:
        self._lock = Lock()
        self._measured = 0
        self._mean = 0.0
        self._deviation = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was measured yet."""
        return self._mean > 0

    @property
    def settled(self) -> bool:
        """Whether more than the first, which says little, was measured."""
        return self._measured > 1

    @property
    def mean(self) -> float:
        """The seconds that a token takes on average; what is expected is more."""
        return self._mean

    @property
    def seconds_per_token(self) -> float:
        """What one token is expected to take."""
        return self._mean + self._deviation

    def learn(self, tokens: float, seconds: float) -> None:
        """Count a measurement in."""
        found = max(seconds, 1e-9) / max(tokens, 1.0)
        with self._lock:
            self._measured += 1
            if self._measured <= 2:
                self._mean = found
                return
            error = found - self._mean
            self._mean += max(self._GAIN, 1 / (self._measured - 1)) * error
            self._deviation += self._GAIN * (abs(error) - self._deviation)


def estimated_tokens(
    pairs: Sequence[tuple[str, str]], most: float | None = None
) -> NDArray[np.int64]:
    """Guess (n,) int64 how many tokens of each pair are read, at least 1, from its characters.

    Args:
        pairs: (n,) of a query and a passage each.
        most: tokens of a pair that the scorer reads at most (``Scorer.max_length``); None where it
            does not say.

    """
    lengths = np.array([len(query) + len(text) for query, text in pairs], dtype=np.float64)
    return np.minimum(1 + lengths // _CHARACTERS_PER_TOKEN, most or _LONGEST_READ).astype(np.int64)


def score_until(
    deadline: Deadline,
    predict: Callable[[slice], NDArray[np.float32]],
    tokens: NDArray[np.int64],
    pace: Pace,
) -> NDArray[np.float32]:
    """Score pairs in their order, slice by slice, as far as time allows.

    A slice takes half of what is left by estimate, so that a wrong estimate is found out in time,
    and no slice is begun that is not expected to end in time. With an unknown pace the first slice
    is one pair. Without a deadline there is one slice.

    Args:
        deadline: when time is up.
        predict: scores a slice of the pairs.
        tokens: (n,) int64: how much work each pair is, in the unit of the pace.
        pace: how long that takes; it learns.

    Returns:
        (n,) float32: scores up to the pair that was reached, NaN from there on.

    """
    if deadline.remaining is None:
        return predict(slice(0, len(tokens)))
    scores = np.full(len(tokens), np.nan, dtype=np.float32)
    ends = np.concatenate(([0], np.cumsum(tokens)))
    start = 0
    while start < len(tokens):
        stop = start + _fitting(ends[start + 1 :] - ends[start], deadline.left, pace)
        if stop == start:
            break
        begun = perf_counter()
        scores[start:stop] = predict(slice(start, stop))
        pace.learn(float(ends[stop] - ends[start]), perf_counter() - begun)
        start = stop
    return scores


def _fitting(work: NDArray[np.int64], left: float, pace: Pace) -> int:
    """Return how many of the next pairs, (n,) tokens added up, to do at once; 0 to stop."""
    if not pace.known:
        return int(left > 0)
    seconds = work * pace.seconds_per_token
    if seconds[0] > left:
        return 0
    return max(1, int(np.searchsorted(seconds, min(left / 2, _LONGEST), side="right")))
