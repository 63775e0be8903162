"""The queue: each caller's pairs, and who is served next, a share of each batch at a time.

A plain data structure without threads; whoever uses it holds a lock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from math import inf

import numpy as np

from twopass.reranker.contract.deadlines import Deadline, Pace, estimated_tokens
from twopass.reranker.contract.scores import Scores

__all__ = [
    "FairQueue",
    "Part",
    "Request",
]


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


_LAST_QUARTER = 0.25  # of its time: a request in it no longer makes batches smaller for others


class FairQueue:
    """Requests that wait, and the batches that are made of them.

    Each batch is shared evenly between the requests, in turn: one of 10,000 pairs is taken in
    slices, and one of ten that comes after it is in the next batch.
    """

    def __init__(self) -> None:
        self._ring: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def pairs(self) -> int:
        """How many pairs wait."""
        return sum(request.waiting for request in self._ring)

    @property
    def tokens(self) -> int:
        """How many estimated tokens wait."""
        return sum(request.tokens(request.taken, len(request.pairs)) for request in self._ring)

    def add(self, request: Request) -> None:
        """Append a request."""
        self._ring.append(request)

    def remove(self, request: Request) -> None:
        """Drop what waits of a request, if anything does."""
        if request in self._ring:
            self._ring.remove(request)

    def clear(self) -> list[Request]:
        """Drop all requests and return them."""
        dropped = list(self._ring)
        self._ring.clear()
        return dropped

    def take(self, budget: int, pace: Pace) -> list[Part]:
        """Return the parts of the next batch; empty where nothing is left to do.

        Requests that were answered meanwhile are dropped; those whose next pair would not be
        scored in time are answered with what they have.

        Args:
            budget: estimated tokens of the batch at most; a longer pair is alone.
            pace: what a token is expected to take, which keeps batches short where there are
                deadlines.

        """
        for request in list(self._ring):
            if not request.answer.done() and self._too_late(request, pace):
                request.expire()
            if request.answer.done():
                self._ring.remove(request)
        room = self._room(budget, pace)
        batch_takes = room * pace.seconds_per_token
        able = [each for each in self._ring if each.deadline.left >= batch_takes] or list(
            self._ring
        )
        stops = _shares(able, room)
        parts = [Part(request, request.taken, stop) for request, stop in stops.items()]
        for part in parts:
            part.request.taken = part.rows.stop
            self._ring.remove(part.request)
            if part.request.waiting:
                self._ring.append(part.request)
        return parts

    @staticmethod
    def _too_late(request: Request, pace: Pace) -> bool:
        next_pair = request.tokens(request.taken, request.taken + 1)
        return request.deadline.left <= next_pair * pace.seconds_per_token

    def _room(self, budget: int, pace: Pace) -> int:
        """Return the batch's tokens: at most half of the time that a waiting request has left."""
        timed = [each.deadline for each in self._ring if each.deadline.remaining is not None]
        if not timed:
            return budget
        if not pace.known:
            return 1
        early = [each.left for each in timed if each.left >= _LAST_QUARTER * each.seconds]
        left = min(early or [each.left for each in timed])
        return max(1, min(budget, int(left / 2 / pace.seconds_per_token)))


def _shares(requests: list[Request], room: int) -> dict[Request, int]:
    """Share a batch's tokens: up to which pair each request is taken.

    In rounds, each with an even share of what is left; a pair longer than its share is taken where
    it fits into the whole, and the very first pair always.
    """
    stops: dict[Request, int] = {}
    active = requests
    while active and room > 0:
        share, open_ones = max(1, room // len(active)), []
        for request in active:
            start = stops.get(request, request.taken)
            stop = request.reach(start, min(share, room))
            if stop == start and (not stops or request.tokens(start, start + 1) <= room):
                stop = start + 1
            if stop > start:
                stops[request] = stop
                room -= request.tokens(start, stop)
                if stop < len(request.pairs):
                    open_ones.append(request)
        active = open_ones
    return stops
