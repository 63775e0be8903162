"""A scorer for one request that runs in a thread, and whose client may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from reranker.base import Scores
from reranker.batching import BatchingScorer

__all__ = ["LeavingScorer"]


class LeavingScorer:
    """Scores by a shared scorer until it is told that nobody waits any more.

    Args:
        scorer: the shared one.
        loop: the event loop in which it is waited for; never the one of the calling thread.

    """

    def __init__(self, scorer: BatchingScorer, loop: asyncio.AbstractEventLoop) -> None:
        self._scorer = scorer
        self._loop = loop
        self._lock = Lock()
        self._left = False
        self._waiting: Future[Scores] | None = None

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32; see ``score``."""
        return self.score(pairs).whole()

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return what the shared scorer says; nothing where the client has left."""
        with self._lock:
            if self._left:
                return Scores.none(len(pairs), "the client has left")
            coroutine = self._scorer.ascore(pairs, deadline=deadline)
            self._waiting = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return self._waiting.result()

    def leave(self) -> None:
        """Drop what waits, and score nothing from now on."""
        with self._lock:
            self._left = True
            if self._waiting is not None:
                self._waiting.cancel()
