"""What one process of the sidecar serves with: scorer, search, and threads to run them in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from pipeline.build import build_fusion, build_retriever, build_scorer
from pipeline.search import SearchPipeline
from pipeline.settings import Settings
from pipeline.sidecar.metrics import Metrics
from pipeline.sidecar.proxy.proxy import Proxy
from reranker.base import PairScorer
from retriever.base import Retriever, RetrieverError

__all__ = ["Sidecar", "sidecar_of"]

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)

# Searches wait in threads, for a server or for the scorer; far more of them than processors.
_THREADS = 64
_CHECK = 5.0  # seconds that the index has to show that it is there


class Sidecar:
    """A scorer for many callers and, where an index is named, both stages over it.

    Args:
        settings: all of the pipeline's.
        scorer: the second stage; safe to use from several threads.
        retriever: the first stage; ``None`` where there is none to search.

    """

    def __init__(
        self, settings: Settings, scorer: PairScorer, retriever: Retriever | None = None
    ) -> None:
        self.settings = settings
        self.scorer = scorer
        self.retriever = retriever
        self.metrics = Metrics()
        self.search: SearchPipeline | None = None
        if retriever is not None:
            self.search = SearchPipeline(
                retriever,
                scorer,
                build_fusion(settings),
                depth=settings.depth,
                on_error="first-stage",
            )
        self.warm = False
        self.proxy: Proxy | None = None
        if settings.proxy.url is not None:
            self.proxy = Proxy(settings, scorer, self.in_thread, self.metrics)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sidecar")

    @classmethod
    def open(cls, settings: Settings) -> Sidecar:
        """Load the model, and open the index where one is named.

        Raises:
            RerankerError: when the model cannot be had.
            RetrieverError: when the index cannot be opened.

        """
        retriever = build_retriever(settings) if settings.retriever.index else None
        return cls(settings, build_scorer(settings), retriever)

    async def start(self) -> None:
        """Score a pair and search once, so that the first request finds everything loaded.

        An index that is not there yet is no reason not to start: ``/readyz`` tells of it.
        """
        pair = ("is anybody there?", "The first pair is slower than the others.")
        await self.in_thread(self.scorer.predict, [pair])
        if self.retriever is not None:
            try:
                await self.in_thread(self.retriever.search, ["ready"], 1)
            except RetrieverError as error:
                _LOG.warning("the index does not answer: %s", error)
        self.warm = True

    async def stop(self) -> None:
        """Let go of the threads; what they have begun is finished first."""
        self.warm = False
        if self.proxy is not None:
            await self.proxy.close()
        await asyncio.to_thread(self._threads.shutdown)

    async def checks(self) -> dict[str, str]:
        """Say ok or what is wrong: of the model, and of index and proxied server if any."""
        found = {"model": "ok" if self.warm else "not loaded yet, or ending"}
        if self.retriever is not None:
            found["index"] = await self._check_index(self.retriever)
        if self.proxy is not None:
            found["proxy"] = await self._check_proxy(self.proxy)
        return found

    async def _check_proxy(self, proxy: Proxy) -> str:
        try:
            async with asyncio.timeout(_CHECK):
                return await proxy.check()
        except TimeoutError:
            return f"no answer in {_CHECK:g} s"

    async def _check_index(self, retriever: Retriever) -> str:
        try:
            async with asyncio.timeout(_CHECK):
                await self.in_thread(retriever.search, ["ready"], 1)
        except TimeoutError:
            return f"no answer in {_CHECK:g} s"
        except RetrieverError as error:
            return str(error)
        return "ok"

    async def score(
        self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None
    ) -> NDArray[np.float32]:
        """Return the score of each pair, (n,) float32, in the pairs' order.

        Args:
            pairs: (n,) of a query and a document each.
            deadline: seconds from now; by default ``serve.deadline``.

        Raises:
            TimeoutError: when the deadline passes first.
            RerankerError: when they cannot be scored.

        """
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        async with asyncio.timeout(deadline or self.settings.serve.deadline):
            return await self.in_thread(self.scorer.predict, pairs)

    async def in_thread(self, function: Callable[..., _T], *args: object, **options: object) -> _T:
        """Run something that waits in one of this process's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args, **options))


def sidecar_of(request: Request) -> Sidecar:
    """Return what the process of this request serves with; also a FastAPI dependency."""
    sidecar: Sidecar = request.app.state.sidecar
    return sidecar
