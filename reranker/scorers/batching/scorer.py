"""Dynamic batching: many callers, threads and coroutines, share full batches of one scorer."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from concurrent.futures import TimeoutError as WaitedTooLong
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_pairs, check_unicode
from twopass.reranker.contract.scorer import PairScorer, Wrapper
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching.queue import Request
from twopass.reranker.scorers.batching.worker import BatchingStats, Limits, Worker

__all__ = ["BatchingScorer"]

_LEAST = 4096  # tokens a batch


class BatchingScorer(Wrapper):
    """Puts the pairs of concurrent callers together into full batches of one scorer.

    A thread takes from all waiting requests in turn, so that a small one does not wait for a large
    one to be done, and a request gets the same scores as alone. A lone caller waits for nobody. A
    batch that fails is tried again by request, so that it fails only its own caller. A cancelled
    request's waiting pairs are dropped; so are those of a request whose time is up, which gets
    what was scored until then.

    Requests with a deadline are accepted by time: one that cannot be done by its deadline, with
    all that was accepted before it, is refused at once; the earliest deadline comes first. What
    work takes is estimated from what was done.

    Safe to use from threads and event loops; a forked child gets its own queue. Close it, or use it
    as a context manager, to have what was accepted finished; at the end of the program it closes
    by itself.

    Args:
        scorer: what scores batches, from one thread.
        tokens: estimated tokens a batch at most: large enough to be fast, small enough that a
            newcomer soon gets his turn. By default half of what the scorer takes at one time
            (``token_budget``), at least 4,096.
        wait: seconds to wait for other callers' pairs where a batch is not full and there are
            other callers.
        waiting: pairs that may wait at most; a single request may have more where none waits.

    Raises:
        InputError: when a limit is no positive number.

    """

    def __init__(
        self,
        scorer: PairScorer,
        *,
        tokens: int | None = None,
        wait: float = 0.002,
        waiting: int = 20_000,
    ) -> None:
        super().__init__(scorer)
        if tokens is None:
            tokens = max(_LEAST, (self.inner.token_budget or 0) // 2)
        for name, value in {"tokens": tokens, "waiting": waiting}.items():
            if value < 1:
                raise InputError(f"expected {name} of at least 1, found {value}")
        if not wait >= 0:
            raise InputError(f"expected wait of at least 0 seconds, found {wait}")
        self._worker = Worker(self.inner, Limits(tokens, wait, waiting))
        self._closing = weakref.finalize(self, self._worker.close)

    def score(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        deadline: float | None = None,
        complete: bool = False,
    ) -> Scores:
        """Return the scores of the pairs, in order, as far as there is time.

        Args:
            pairs: (n,) of a query and a passage each, the most promising first.
            deadline: seconds from now.
            complete: whether the scores of some of the pairs are of no use: then it is an error
                that not all are expected in time. Without it, as many are scored as there is time
                for; where that is none, it is answered at once.

        Raises:
            OverloadedError: when it cannot be complete in time, and ``retry_after`` says when it
                could; or when too much waits already.
            InputError: when a pair is not two strings.
            RerankerError: as the scorer raises.

        """
        request = self._submit(pairs, deadline, complete)
        if request is None:
            return Scores.none(0, "")
        try:
            return request.answer.result(request.deadline.remaining)
        except WaitedTooLong:
            if not request.answer.done():
                self._worker.withdraw(request, expired=True)
            return request.answer.result()
        finally:  # an interrupted caller wants no more
            if not request.answer.done():
                self._worker.withdraw(request)

    async def apredict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return what ``predict`` does, without blocking the event loop."""
        return (await self.ascore(pairs)).whole()

    async def ascore(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        deadline: float | None = None,
        complete: bool = False,
    ) -> Scores:
        """Return what ``score`` does, without blocking the event loop.

        Cancelling drops the pairs that wait.
        """
        request = self._submit(pairs, deadline, complete)
        if request is None:
            return Scores.none(0, "")
        answer = asyncio.wrap_future(request.answer)
        try:
            await asyncio.wait({answer}, timeout=request.deadline.remaining)
            if not request.answer.done():
                self._worker.withdraw(request, expired=True)
            return await answer
        finally:
            if not request.answer.done():
                self._worker.withdraw(request)

    def close(self) -> None:
        """Refuse new requests, finish what was accepted, and end the thread; twice does no harm."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def stats(self) -> BatchingStats:
        """What was done so far, and what waits."""
        return self._worker.stats

    def _submit(
        self, pairs: Sequence[tuple[str, str]], deadline: float | None, complete: bool
    ) -> Request | None:
        """Queue the pairs, checked while their places in the caller's list are known."""
        until = Deadline.after(deadline)
        checked = check_pairs(pairs)
        check_unicode(checked)
        if not checked:
            return None
        request = Request(checked, until, self.max_length, complete=complete)
        if until.passed:
            request.expire()
        else:
            self._worker.submit(request)
        return request
