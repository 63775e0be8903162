"""Who is served next: every request in turn, a share of each batch at a time.

A plain data structure without threads; whoever uses it holds a lock.
"""

from __future__ import annotations

from collections import deque

from reranker.batching.request import Part, Request
from reranker.deadlines import Pace

__all__ = ["FairQueue"]

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
