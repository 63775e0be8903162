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
    "GONE",
    "CancellableScorer",
    "while_connected",
]


GONE = 499  # nginx's number for a client that left; nobody reads it but the log


async def while_connected(receive: Receive, answer: Coroutine[Any, Any, Response]) -> Response:
    """Await an answer, and cancel it when the client leaves first."""
    work = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else Response(status_code=GONE)
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class CancellableScorer(Wrapper):
    """Scores by a shared scorer until it is told that nobody waits any more.

    Args:
        scorer: the shared one.
        loop: the event loop in which it is waited for; never the one of the calling thread.

    """

    def __init__(self, scorer: BatchingScorer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(scorer)
        self._shared = scorer
        self._loop = loop
        self._lock = Lock()
        self._left = False
        self._waiting: Future[Scores] | None = None

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what the shared scorer says; nothing where the client has left."""
        with self._lock:
            if self._left:
                return Scores.none(len(pairs), "the client has left")
            coroutine = self._shared.ascore(pairs, deadline=deadline)
            self._waiting = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return self._waiting.result()

    def leave(self) -> None:
        """Drop what waits, and score nothing from now on."""
        with self._lock:
            self._left = True
            if self._waiting is not None:
                self._waiting.cancel()
