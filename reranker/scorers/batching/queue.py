"""The queue: each caller's pairs, and who is served next, a share of each batch at a time.

A plain data structure without threads; whoever uses it holds a lock.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
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
        longest: tokens of a pair that are read at most; None where the scorer does not say.
        complete: whether the scores of some of the pairs are of no use.

    Attributes:
        ends: (n + 1,) int64: estimated tokens of the pairs before each.
        taken: how many pairs were handed out so far.
        promised: up to which pair it is to be scored in time; all, unless it was admitted with
            fewer. The others are scored where there is time.
        answer: becomes the scores, or the error.

    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        deadline: Deadline,
        longest: float | None = inf,
        *,
        complete: bool = False,
    ) -> None:
        self.pairs = pairs
        self.deadline = deadline
        self.complete = complete
        self.ends = np.concatenate(([0], np.cumsum(estimated_tokens(pairs, longest))))
        self.taken = 0
        self.promised = len(pairs)
        self.answer: Future[Scores] = Future()
        self._found: list[tuple[slice, Scores]] = []

    @property
    def waiting(self) -> int:
        """How many pairs were not handed out yet."""
        return len(self.pairs) - self.taken

    @property
    def timed(self) -> bool:
        """Whether it has a deadline."""
        return self.deadline.ends != inf

    @property
    def owed(self) -> int:
        """The estimated tokens that were promised and not handed out yet."""
        return self.tokens(self.taken, max(self.taken, self.promised))

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
        self.settle(self.deadline.reason(self._scored, len(self.pairs)))

    def give_up(self, seconds: float) -> None:
        """Answer before time is up that it will not do, as the rest takes so many seconds more."""
        self.settle(
            f"{self.deadline.reason(self._scored, len(self.pairs))}, and the others would take "
            f"{seconds:.3g} s more; send fewer at one time, or allow more time"
        )

    @property
    def _scored(self) -> int:
        return sum(scores.scored for _, scores in self._found)

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
_PATIENT = 0.25  # of a batch: what requests without a deadline get beside those that have one
_SHORT = 0.5  # of a batch: what short requests may get before those whose time is up first
_TIGHT = 0.1  # of a request's time: with no more than that to spare it lets no short one go first
_HOPELESS = 0.5  # of what the rest is expected to take: with less time than that it is given up


class FairQueue:
    """Requests that wait, and the batches that are made of them.

    Requests with a deadline come in the order of their deadlines (Liu and Layland 1973, "Scheduling
    algorithms for multiprogramming in a hard-real-time environment"), so that one that has begun
    is finished before the next begins. Up to half of a batch goes to the shortest of them first,
    as far as that makes no complete request late. Requests without a deadline share a quarter of
    each batch evenly, in turn, and all that is left over: one of 10,000 pairs is taken in slices,
    and one of ten that comes after it is in the next batch.
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

    def room(self, deadline: Deadline, pace: Pace, *, busy: float, margin: float) -> float:
        """Return how many more tokens fit before a deadline, with no complete request made late.

        Negative where too much was promised already.

        Args:
            deadline: of the request that is to be added.
            pace: what a token is expected to take.
            busy: seconds until the next batch begins.
            margin: share of a deadline's time that is to be left when all is done.

        """
        share = 1.0 if all(each.timed for each in self._ring) else 1 - _PATIENT

        def able(until: Deadline) -> float:
            left = until.left - busy - margin * until.seconds
            return share * left / pace.seconds_per_token

        before, promised, room = 0, 0, inf
        for request in _by_deadline(self._ring):
            promised += request.owed
            if request.deadline.ends <= deadline.ends:
                before = promised
            elif request.complete:
                room = min(room, able(request.deadline) - promised)
        return min(room, able(deadline) - before)

    def take(self, budget: int, pace: Pace) -> list[Part]:
        """Return the parts of the next batch; empty where nothing is left to do.

        Requests that were answered meanwhile are dropped; those whose next pair would not be
        scored in time are answered with what they have, and complete ones already when the rest
        will clearly not be.

        Args:
            budget: estimated tokens of the batch at most; a longer pair is alone.
            pace: what a token is expected to take, which keeps batches short where there are
                deadlines.

        """
        self._drop(pace)
        room = self._room(budget, pace)
        batch_takes = room * pace.seconds_per_token
        able = [
            each for each in self._ring if each.complete or each.deadline.left >= batch_takes
        ] or list(self._ring)
        parts = _Batch(room).filled(able, pace)
        for part in parts:
            part.request.taken = part.rows.stop
            self._ring.remove(part.request)
            if part.request.waiting:
                self._ring.append(part.request)
        return parts

    def _drop(self, pace: Pace) -> None:
        """Answer those that are late, and forget those that are answered."""
        alone = len(self._ring) == 1
        for request in list(self._ring):
            if not request.answer.done():
                next_pair = request.tokens(request.taken, request.taken + 1)
                rest = request.owed * pace.mean
                begun = request.taken > 0 or not alone  # a wrong pace is found out by trying
                needs = next_pair * pace.seconds_per_token if begun else 0.0
                if request.deadline.left <= needs:
                    request.expire()
                elif request.complete and begun and request.deadline.left < _HOPELESS * rest:
                    request.give_up(rest)
            if request.answer.done():
                self._ring.remove(request)

    def _room(self, budget: int, pace: Pace) -> int:
        """Return the batch's tokens: at most half of the time that a waiting request has left.

        Where a complete one can be finished by more than half, as many as that needs.
        """
        timed = [each for each in self._ring if each.timed]
        if not timed:
            return budget
        if not pace.known:
            return 1

        def bound(request: Request) -> float:
            half = request.deadline.left / 2 / pace.seconds_per_token
            return max(half, request.owed) if request.complete else half

        early = [
            each
            for each in timed
            if each.complete or each.deadline.left >= _LAST_QUARTER * each.deadline.seconds
        ]
        return max(1, min(budget, int(min(map(bound, early or timed)))))


class _Batch:
    """Up to which pair each request goes into a batch, while it is filled.

    Args:
        room: estimated tokens at most.

    """

    def __init__(self, room: int) -> None:
        self._whole = self._room = room
        self._stops: dict[Request, int] = {}

    def filled(self, requests: list[Request], pace: Pace) -> list[Part]:
        """Fill it: with short requests, with those whose time is up first, with all in turn."""
        timed = _by_deadline(requests)
        patient = len(timed) < len(requests)
        room = self._whole - int(_PATIENT * self._whole if patient else 0)
        self._take_short(timed, min(_SHORT * room, _slack(timed, pace)))
        for request in timed:
            left = room - (self._whole - self._room)
            if not self._take(request, request.promised, left, at_least=not self._stops):
                break
        self._share(requests)
        return [Part(each, each.taken, stop) for each, stop in self._stops.items()]

    def _take_short(self, timed: list[Request], room: float) -> None:
        """Take the requests that are done soonest, each whole."""
        for request in sorted(timed, key=lambda each: each.owed):
            if request.owed > room:
                return
            room -= request.owed
            self._take(request, request.promised, request.owed)

    def _take(self, request: Request, stop: int, room: int, *, at_least: bool = False) -> bool:
        """Take pairs of a request up to one, as far as they fit; whether they all did."""
        start = self._stops.get(request, request.taken)
        if start >= stop:
            return True
        reached = min(stop, request.reach(start, max(0, room)))
        if reached == start and at_least:
            reached = start + 1
        if reached > start:
            self._stops[request] = reached
            self._room -= request.tokens(start, reached)
        return reached == stop

    def _share(self, requests: list[Request]) -> None:
        """Share out what is left.

        In rounds, each with an even share of what is left; a pair longer than its share is taken
        where it fits into the whole, and the very first pair always.
        """
        active = [each for each in requests if self._open(each)]
        while active and self._room > 0:
            share, stops = max(1, self._room // len(active)), dict(self._stops)
            for request in active:
                start = self._stops.get(request, request.taken)
                fits = request.tokens(start, start + 1) <= self._room
                self._take(
                    request,
                    len(request.pairs),
                    min(share, self._room),
                    at_least=not self._stops or fits,
                )
            active = [
                each
                for each in active
                if self._open(each) and self._stops.get(each) != stops.get(each)
            ]

    def _open(self, request: Request) -> bool:
        return self._stops.get(request, request.taken) < len(request.pairs)


def _by_deadline(requests: Iterable[Request]) -> list[Request]:
    """Return those that have one, the earliest first; of equal ones those that have begun."""
    timed = (each for each in requests if each.timed)
    return sorted(timed, key=lambda each: (each.deadline.ends, -each.taken))


def _slack(timed: list[Request], pace: Pace) -> float:
    """Return how many tokens may go before all of these without a complete one being late."""
    slack, promised = inf, 0
    for request in timed:
        promised += request.owed
        if request.complete:
            left = request.deadline.left - _TIGHT * request.deadline.seconds
            slack = min(slack, left / pace.seconds_per_token - promised)
    return slack
