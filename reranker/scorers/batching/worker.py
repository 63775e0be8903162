"""The thread that empties the queue, batch by batch, into a scorer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from threading import Condition, Thread, current_thread
from time import monotonic, perf_counter

from twopass.reranker.contract.deadlines import Pace
from twopass.reranker.contract.errors import OutputError, OverloadedError, RerankerError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching.admission import Admission
from twopass.reranker.scorers.batching.queue import FairQueue, Part, Request
from twopass.reranker.threads import reset_in_child

__all__ = ["BatchingStats", "Limits", "Worker"]

_LATEST = 300.0  # seconds until a request that found the queue full is told to come back


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds batches and queue.

    Attributes:
        tokens: estimated tokens a batch at most.
        wait: seconds to wait for more requests where a batch is not full.
        waiting: pairs that may wait at most.

    """

    tokens: int
    wait: float
    waiting: int


@dataclass(frozen=True, slots=True)
class BatchingStats:
    """What was done so far, and what waits.

    Attributes:
        batches: how many batches were scored.
        pairs: how many pairs were in them.
        refused: how many requests found the queue full, or no time left for them.
        waiting_requests: how many requests wait now.
        waiting_pairs: how many pairs of theirs wait now.

    """

    batches: int
    pairs: int
    refused: int
    waiting_requests: int
    waiting_pairs: int


class Worker:
    """A queue and the thread that empties it; the thread starts with the first request.

    Args:
        scorer: what scores a batch.
        limits: what bounds batches and queue.

    """

    def __init__(self, scorer: Scorer, limits: Limits) -> None:
        self._scorer = scorer
        self._limits = limits
        self._pace = Pace()
        self._batches = self._pairs = self._refused = 0
        self.closed = False
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Start again with an empty queue and no thread: in a child process there is none."""
        self._changed = Condition()
        self._queue = FairQueue()
        self._admission = Admission(self._pace)
        self._busy_until: float | None = None
        self._thread: Thread | None = None
        self._crowded = False

    def submit(self, request: Request) -> None:
        """Let a request wait for its turn.

        Raises:
            OverloadedError: when too much waits already, or it cannot be done in time.
            RerankerError: when the worker was closed.

        """
        with self._changed:
            if self.closed:
                raise RerankerError("expected an open BatchingScorer, found one that was closed")
            self._check_room(len(request.pairs))
            try:
                self._admission.promise(request, self._queue, busy=self._busy)
            except OverloadedError as error:
                self._refused += 1
                if request.complete:
                    raise
                request.settle(str(error))  # that nothing fits into the time is no error there
                return
            self._queue.add(request)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="twopass-batching", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def withdraw(self, request: Request, *, expired: bool = False) -> None:
        """Drop what waits of a request; one whose time is up is answered with what it has."""
        with self._changed:
            self._queue.remove(request)
            if expired:
                request.expire()
            else:
                request.answer.cancel()

    def close(self) -> None:
        """Refuse new requests, finish those that wait, and end the thread."""
        with self._changed:
            self.closed = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None and thread is not current_thread():  # garbage may end it anywhere
            thread.join()

    @property
    def stats(self) -> BatchingStats:
        """What was done so far, and what waits."""
        with self._changed:
            waiting = len(self._queue), self._queue.pairs
            return BatchingStats(self._batches, self._pairs, self._refused, *waiting)

    def _check_room(self, pairs: int) -> None:
        """Refuse what does not fit, except where nothing waits: then it never would."""
        waiting = self._queue.pairs
        if not waiting or waiting + pairs <= self._limits.waiting:
            return
        self._refused += 1
        seconds = self._queue.tokens * self._pace.seconds_per_token
        gone = min(1.0, (waiting + pairs - self._limits.waiting) / waiting)
        retry_after = min(_LATEST, max(0.1, gone * seconds))
        raise OverloadedError(
            f"expected room for {pairs} pairs, found {waiting} of at most {self._limits.waiting} "
            f"waiting; try again in {retry_after:.1f} s",
            retry_after=retry_after,
        )

    @property
    def _busy(self) -> float | None:
        """Seconds until the batch at hand is expected to be done; None where there is none."""
        return None if self._busy_until is None else max(0.0, self._busy_until - monotonic())

    def _run(self) -> None:
        while parts := self._next():
            self._score(parts)

    def _next(self) -> list[Part]:
        """Wait for the next batch; empty at the end."""
        with self._changed:
            self._busy_until = None
            while True:
                self._changed.wait_for(lambda: self.closed or len(self._queue))
                self._gather()
                parts = self._queue.take(self._limits.tokens, self._pace)
                self._crowded = len(parts) > 1
                if parts:
                    tokens = sum(part.tokens for part in parts)
                    self._busy_until = monotonic() + tokens * self._pace.seconds_per_token
                if parts or self.closed:
                    return parts

    def _gather(self) -> None:
        """Wait a little for a fuller batch, where the last one had more than one caller's pairs."""
        ends = monotonic() + self._limits.wait
        while self._crowded and not self.closed and self._queue.tokens < self._limits.tokens:
            if not self._changed.wait(max(0.0, ends - monotonic())):
                return

    def _score(self, parts: list[Part]) -> None:
        """Score a batch; if that fails and it had pairs of several callers, each caller's alone."""
        parts = [part for part in parts if not part.request.answer.done()]
        if not parts:
            return
        try:
            shares = self._shares(parts)
        except BaseException as error:  # whatever it is, no caller may be left waiting
            if len(parts) > 1:
                for part in parts:
                    self._score([part])
                return
            with self._changed:
                self._queue.remove(parts[0].request)
                parts[0].request.fail(error)
            return
        with self._changed:
            self._busy_until = None  # whoever hears of these scores finds nothing being done
            self._batches += 1
            self._pairs += sum(map(len, parts))
            for part, share in zip(parts, shares, strict=True):
                part.request.put(part.rows, share)

    def _shares(self, parts: list[Part]) -> list[Scores]:
        """Score the pairs of all parts together; one result a part."""
        pairs = list(chain.from_iterable(part.pairs for part in parts))
        begun = perf_counter()
        scores = self._scorer.score(pairs)
        self._pace.learn(sum(part.tokens for part in parts), perf_counter() - begun)
        if len(scores) != len(pairs):
            raise OutputError(f"expected {len(pairs)} scores, one a pair, found {len(scores)}")
        return [scores.take(rows) for rows in _rows(parts)]


def _rows(parts: list[Part]) -> Iterator[slice]:
    """Yield where each part's pairs are in the batch."""
    start = 0
    for part in parts:
        yield slice(start, start + len(part))
        start += len(part)
