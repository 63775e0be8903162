"""Cancellation: work that stops when its client disconnects, in the event loop and in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any

from fastapi import Response
from starlette.types import Receive

from twopass.reranker.contract.scorer import Wrapper
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching import BatchingScorer

__all__ = [
    "CLIENT_CLOSED_REQUEST",
    "CancellableScorer",
    "cancel_on_disconnect",
]


CLIENT_CLOSED_REQUEST = 499  # nginx's status for a client that disconnected; only the log shows it


async def cancel_on_disconnect(receive: Receive, answer: Coroutine[Any, Any, Response]) -> Response:
    """Await an answer, and cancel it if the client disconnects first."""
    work = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else Response(status_code=CLIENT_CLOSED_REQUEST)
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class CancellableScorer(Wrapper):
    """Scores with a shared scorer until it is cancelled.

    Args:
        scorer: the shared one.
        loop: the event loop of the shared scorer; not that of the calling thread.

    """

    def __init__(self, scorer: BatchingScorer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(scorer)
        self._shared = scorer
        self._loop = loop
        self._lock = Lock()
        self._cancelled = False
        self._waiting: Future[Scores] | None = None

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the shared scorer's scores; none once it is cancelled."""
        with self._lock:
            if self._cancelled:
                return Scores.none(len(pairs), "the client has disconnected")
            coroutine = self._shared.ascore(pairs, deadline=deadline)
            self._waiting = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return self._waiting.result()

    def cancel(self) -> None:
        """Cancel the waiting request, and score nothing from now on."""
        with self._lock:
            self._cancelled = True
            if self._waiting is not None:
                self._waiting.cancel()
