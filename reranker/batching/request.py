"""One caller's pairs, on their way through the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from math import inf

import numpy as np

from reranker.deadlines import Deadline, estimated_tokens
from reranker.scores import Scores

__all__ = ["Part", "Request"]


class Request:
    """What one caller has asked for, how far it got, and where the answer goes.

    Not safe between threads by itself: the queue's lock guards it.

    Args:
        pairs: (n,) n at least 1: of a query and a passage each, scored in this order.
        deadline: when the caller stops waiting.
        longest: tokens of a pair that are read at most.

    Attributes:
        ends: (n + 1,) int64: estimated tokens of the pairs before each.
        taken: how many pairs were handed out so far.
        answer: becomes the scores, or the error.

    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]], deadline: Deadline, longest: float = inf
    ) -> None:
        self.pairs = pairs
        self.deadline = deadline
        self.ends = np.concatenate(([0], np.cumsum(estimated_tokens(pairs, longest))))
        self.taken = 0
        self.answer: Future[Scores] = Future()
        self._found: list[tuple[slice, Scores]] = []

    @property
    def waiting(self) -> int:
        """How many pairs were not handed out yet."""
        return len(self.pairs) - self.taken

    def tokens(self, start: int, stop: int) -> int:
        """Return the estimated tokens of some of the pairs."""
        return int(self.ends[stop] - self.ends[start])

    def reach(self, start: int, tokens: int) -> int:
        """Return up to which pair so many tokens reach from a pair on."""
        return int(np.searchsorted(self.ends, self.ends[start] + tokens, side="right")) - 1

    def put(self, part: slice, scores: Scores) -> None:
        """Take in the scores of some pairs; the last ones settle it."""
        if self.answer.done():
            return
        self._found.append((part, scores))
        if sum(len(scores) for _, scores in self._found) == len(self.pairs):
            self.settle("")

    def settle(self, reason: str) -> None:
        """Answer with what there is; the reason says why that is not all."""
        if not self.answer.done() and self.answer.set_running_or_notify_cancel():
            found, why = _of_one_kind(self._found)
            try:
                self.answer.set_result(Scores.joined(len(self.pairs), found, reason or why))
            except Exception as error:  # scores that do not fit together
                self.answer.set_exception(error)

    def expire(self) -> None:
        """Answer that time is up."""
        scored = sum(scores.scored for _, scores in self._found)
        self.settle(self.deadline.reason(scored, len(self.pairs)))

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        if not self.answer.done() and self.answer.set_running_or_notify_cancel():
            self.answer.set_exception(error)


def _of_one_kind(found: list[tuple[slice, Scores]]) -> tuple[list[tuple[slice, Scores]], str]:
    """Keep the scores of the scorer that gave most of them, and say whose are left out.

    A chain may pass on from one scorer to the next between two batches of one request.
    """
    counts: Counter[str] = Counter()
    for _, scores in found:
        counts[scores.by] += len(scores)
    if len(counts) < 2:
        return found, ""
    (kept, _), *others = counts.most_common()
    names = ", ".join(name for name, _ in others)
    return [(part, scores) for part, scores in found if scores.by == kept], (
        f"some pairs were scored by {names} instead of {kept}: other scores, which are left out"
    )


class Part:
    """Some pairs of a request, as they go into a batch.

    Attributes:
        request: whose they are.
        rows: which of its pairs.

    """

    __slots__ = ("request", "rows")

    def __init__(self, request: Request, start: int, stop: int) -> None:
        self.request = request
        self.rows = slice(start, stop)

    def __len__(self) -> int:
        return int(self.rows.stop - self.rows.start)

    @property
    def tokens(self) -> int:
        """Their estimated tokens."""
        return self.request.tokens(self.rows.start, self.rows.stop)

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """The pairs themselves."""
        return self.request.pairs[self.rows]
