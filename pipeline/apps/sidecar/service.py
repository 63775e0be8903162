"""What one process of the sidecar serves with: scorers, search, and the threads that run them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from fastapi import Request

from twopass.pipeline.apps.assembly import (
    build_cheap_scorer,
    build_final_scorer,
    build_fusion,
    build_model,
    build_retriever,
)
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.cancellation import CancellableScorer
from twopass.pipeline.apps.sidecar.metrics import Metrics
from twopass.pipeline.apps.sidecar.models import Model, Models
from twopass.pipeline.apps.sidecar.proxy.proxy import Proxy
from twopass.pipeline.ranking import Ranking
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import OverloadedError
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.contract.scores import Scores
from twopass.reranker.scorers.batching import BatchingScorer
from twopass.retriever.base import Retriever
from twopass.retriever.errors import RetrieverError

__all__ = ["Sidecar", "sidecar_of"]

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)

# Searches wait in threads, for a server or for the scorer; far more threads than processors.
_THREADS = 64
_WAITING = 256  # maximum number of requests that wait for a thread
_LEAST = 1e-6  # seconds: used for a deadline that has passed
_WARMING = 16  # pairs by which the pace is measured at the start
_CHECK = 5.0  # time limit of a readiness check, in seconds
_PUBLISH = 1.0  # seconds between two updates of this worker's metrics


class Sidecar:
    """Scorers for many callers and, with an index, both stages over it.

    Args:
        settings: all settings.
        scorer: the second stage; safe to use from several threads.
        retriever: the first stage; ``None`` without an index.
        others: further second stages, by the names of ``serve.models``.
        cheap: the first scorer of the cascade in searches, see ``reranker.cascade``.

    """

    def __init__(
        self,
        settings: Settings,
        scorer: PairScorer,
        retriever: Retriever | None = None,
        others: Mapping[str, PairScorer] | None = None,
        cheap: PairScorer | None = None,
    ) -> None:
        self.settings = settings
        serve, cascade = settings.serve, settings.reranker.cascade
        limits = serve.scores, serve.max_queue
        first = Model(settings.model_name, scorer, *limits, cheap, cascade.keep)
        self.models = Models([first, *(Model(n, s, *limits) for n, s in (others or {}).items())])
        self.retriever = retriever
        self.metrics = Metrics()
        self._queues = {name: queue for m in self.models for name, queue in m.queues.items()}
        self.metrics.watch_scorers(self._queues)
        self.fusion = build_fusion(settings)
        self.warm = False
        self.proxy: Proxy | None = None
        if settings.proxy.url is not None:
            self.proxy = Proxy(settings, self.models, self.in_thread, self.metrics)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sidecar")
        self._in_threads = 0
        self._publishing: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, settings: Settings) -> Sidecar:
        """Load the models, and open the index if there is one.

        Raises:
            RerankerError: when a model cannot be loaded.
            RetrieverError: when the index cannot be opened.

        """
        retriever = build_retriever(settings) if settings.retriever.index else None
        others = {
            name: build_model(settings, source) for name, source in settings.serve.models.items()
        }
        return cls(
            settings, build_final_scorer(settings), retriever, others, build_cheap_scorer(settings)
        )

    async def start(self) -> None:
        """Score some pairs with each model and search once, so that everything is loaded.

        Each queue then also knows how long scoring takes. The service starts even if the index
        does not exist yet; ``/readyz`` reports it.
        """
        for queue in self._queues.values():
            await self.in_thread(queue.predict, _warming(1))
            await self._measure(queue)
        if self.retriever is not None:
            try:
                await self.in_thread(self.retriever.search, ["ready"], 1)
            except RetrieverError as error:
                _LOG.warning("the index does not answer: %s", error)
        if self.metrics.together:
            self._publishing = asyncio.create_task(self._publish_metrics())
        self.warm = True

    async def _measure(self, queue: BatchingScorer) -> None:
        """Let a queue measure how long scoring takes; the first pair has shown that it works."""
        try:
            await self.in_thread(queue.predict, _warming(_WARMING))
        except Exception as error:  # requests will report it
            _LOG.warning("the time that scoring takes could not be measured: %s", error)

    async def _publish_metrics(self) -> None:
        """Write this worker's metrics for the worker that answers ``/metrics``."""
        while True:
            self.metrics.refresh()
            await asyncio.sleep(_PUBLISH)

    async def stop(self) -> None:
        """Finish accepted requests, then release threads and queues."""
        self.warm = False
        if self._publishing is not None:
            self._publishing.cancel()
        if self.proxy is not None:
            await self.proxy.close()
        await asyncio.to_thread(self._threads.shutdown)
        for queue in self._queues.values():
            await asyncio.to_thread(queue.close)
        self.metrics.refresh()

    async def checks(self) -> dict[str, str]:
        """Return ``ok`` or a problem for the model, and for index and proxied server if any."""
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
        self,
        pairs: Sequence[tuple[str, str]],
        model: Model,
        *,
        deadline: float | None = None,
    ) -> Scores:
        """Score pairs together with those of other callers.

        Args:
            pairs: (n,) of a query and a document each, the most promising first.
            model: the model to score with.
            deadline: seconds from now; by default, and at most, ``serve.deadline``.

        Returns:
            One score per pair, in the pairs' order; NaN, and a reason, where time was up.

        Raises:
            OverloadedError: when not all pairs can be scored in time, or more pairs wait than
                ``serve.max_queue`` allows.
            RerankerError: when they cannot be scored.

        """
        most = self.settings.serve.deadline
        seconds = most if deadline is None else min(deadline, most)
        with (
            self.metrics.stages.labels("rerank").time(),
            tracing.stage("rerank", candidates=len(pairs)) as tell,
        ):
            scores = await model.scorer.ascore(pairs, deadline=seconds, complete=True)
            tell({"scored": scores.scored})
        self.metrics.pairs.labels(model.name).observe(len(pairs))
        if not scores.complete:
            self.metrics.degradations.labels("rerank", "partial").inc()
        return scores

    async def search(
        self,
        retriever: Retriever,
        query: str,
        k: int,
        *,
        model: Model | None,
        deadline: float,
        **options: Any,
    ) -> Ranking:
        """Search with both stages; if the second fails, return the first's ranking and a status.

        Args:
            retriever: the first stage.
            query: the query.
            k: how many results.
            model: the second stage; ``None`` for the first only.
            deadline: seconds from now, including the wait for a thread.
            options: further ones of :meth:`twopass.pipeline.search.SearchPipeline.search`.

        """
        loop = asyncio.get_running_loop()
        cancellable: list[CancellableScorer] = []

        def wrap(queue: BatchingScorer) -> CancellableScorer:
            cancellable.append(CancellableScorer(queue, loop))
            return cancellable[-1]

        scorer = None if model is None else model.search_scorer(wrap)
        pipeline = SearchPipeline(
            retriever, scorer, self.fusion, depth=self.settings.depth, on_error="first-stage"
        )
        until = Deadline.after(deadline)

        def run() -> Ranking:
            return pipeline.search(query, k, deadline=max(until.left, _LEAST), **options)

        try:
            return await self.in_thread(run)
        finally:
            for each in cancellable:
                each.cancel()

    async def in_thread(self, function: Callable[..., _T], *args: object, **options: object) -> _T:
        """Run a blocking function in one of this process's threads, for the current request.

        Raises:
            OverloadedError: when too many requests wait for a thread.

        """
        if self._in_threads >= _THREADS + _WAITING:
            raise OverloadedError(
                f"expected room for one more request, found {_WAITING} waiting", retry_after=1
            )
        loop = asyncio.get_running_loop()
        self._in_threads += 1
        run = copy_context().run  # with the request's id, for the logs, and its span
        work = loop.run_in_executor(self._threads, partial(run, function, *args, **options))
        work.add_done_callback(self._count_out)
        return await work

    def _count_out(self, _: object) -> None:
        self._in_threads -= 1


def _warming(n: int) -> list[tuple[str, str]]:
    """Return n pairs of a passage's usual length that no cache has a score of."""
    text = "The first pair is slower than the others, for what is loaded late is loaded by it. "
    return [("is anybody there?", f"{text * 4}{uuid4()}") for _ in range(n)]


def sidecar_of(request: Request) -> Sidecar:
    """Return the sidecar of this request's process; also a FastAPI dependency."""
    sidecar: Sidecar = request.app.state.sidecar
    return sidecar
