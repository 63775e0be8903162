"""Whom to accept: what can be done in time beside all that was promised before.

A plain data structure without threads; whoever uses it holds a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from twopass.reranker.contract.deadlines import Pace
from twopass.reranker.contract.errors import OverloadedError
from twopass.reranker.scorers.batching.queue import FairQueue, Request

__all__ = ["Admission"]

_MARGIN = 0.2  # of a request's time: so much may the machine be slower than expected
_TURN_MARGIN = 0.1  # the same for one that comes back when it was told to
_HELD = 0.5  # of a request's time: what is kept free at most for those that were told to come back
_SOONEST, _LATEST = 0.1, 300.0  # seconds until a refused request is told to come back
_EARLY, _GRACE = 0.5, 2.0  # seconds by which it may be early and late; HTTP has whole seconds


@dataclass(frozen=True, slots=True)
class _Turn:
    """When a refused request was told to come back, and its estimated tokens."""

    at: float
    tokens: int


class Admission:
    """Promises to requests with a deadline what can be kept.

    One that needs all its scores is promised all or refused; of another as many pairs as fit are
    promised, and it is refused where not even the first does. A refused one is told when there
    will be room, after those that were refused before it, and up to half of the time is kept for
    these: who comes back as told is accepted, and who does not leaves no gap. A request without
    a deadline is always accepted, and so is any where nothing waits or is being scored, or where
    the pace is not known yet.

    Args:
        pace: what a token is expected to take.

    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._turns: dict[int, _Turn] = {}

    def promise(self, request: Request, queue: FairQueue, *, busy: float | None) -> None:
        """Set what of a request is promised.

        Args:
            request: one that is not in the queue yet.
            queue: what waits.
            busy: seconds until the batch that is being scored is expected to be done; None where
                none is.

        Raises:
            OverloadedError: when it is refused.

        """
        now = monotonic()
        turn = self._turns.pop(_key(request), None)
        if not request.timed or not self._pace.settled or (busy is None and not len(queue)):
            return
        self._forget(now - _GRACE)
        kept = turn if turn is not None and turn.at - _EARLY <= now <= turn.at + _GRACE else None
        room = queue.room(
            request.deadline,
            self._pace,
            busy=busy or 0.0,
            margin=_MARGIN if kept is None else _TURN_MARGIN,
        )
        ahead = self._ahead(turn)
        held = _HELD * request.deadline.seconds / self._pace.seconds_per_token
        free = room if kept is not None else room - min(ahead, held)
        if request.complete:
            needed = request.owed
        else:
            needed = request.tokens(0, 1)
            request.promised = request.reach(0, max(0, int(free)))
        if free < needed:
            # What is ahead is of many requests, of which some may be fast and others slow.
            seconds = (needed - room) * self._pace.seconds_per_token + ahead * self._pace.mean
            self._refuse(request, max(_SOONEST, seconds), now)

    def _refuse(self, request: Request, wanted: float, now: float) -> None:
        """Say after how many seconds there will be room, and keep that turn.

        Raises:
            OverloadedError: always.

        """
        if request.complete and wanted <= _LATEST:
            self._turns[_key(request)] = _Turn(now + wanted, request.owed)
        retry_after = min(wanted, _LATEST)
        time = f"{request.deadline.seconds:.3g} s"
        raise OverloadedError(
            f"expected time for {len(request.pairs)} pairs within {time}, found too much to do "
            f"before them; try again in {retry_after:.1f} s",
            retry_after=retry_after,
        )

    def _ahead(self, turn: _Turn | None) -> int:
        """Return the tokens of those that were told to come back before a turn, or at all."""
        return sum(
            each.tokens for each in self._turns.values() if turn is None or each.at < turn.at
        )

    def _forget(self, before: float) -> None:
        """Let go of the turns of those that have not come."""
        self._turns = {key: turn for key, turn in self._turns.items() if turn.at >= before}


def _key(request: Request) -> int:
    """Return what a request has in common with itself when it is sent again."""
    return hash((request.pairs[0], len(request.pairs), int(request.ends[-1])))
