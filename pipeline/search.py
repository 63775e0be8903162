"""Retriever, scorer and fusion as one search."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FusionError, SearchError
from pipeline.fusion import Fusion
from pipeline.fusion.columns import ranks
from pipeline.ranking import Ranking, Timings
from pipeline.stages import Candidates, OnError, Stages, count
from reranker.base import PairScorer
from retriever.base import Retriever
from retriever.filters import Filter

__all__ = ["SearchPipeline", "fuse"]


class SearchPipeline:
    """Two-stage search: candidates, their scores, one ranking.

    It holds no state of its own: as many threads may use it as its parts allow.

    Args:
        retriever: the first stage.
        scorer: the second stage; ``None`` for the first stage alone.
        fusion: how both become one score, for example ``pipeline.fusion.rrf``.
        depth: how many of the first stage's best are scored, unless a call says otherwise.
        on_error: what a scorer that fails leads to: ``raise`` its error, or ``first-stage``: the
            first stage's ranking, with the status ``failed`` and the reason.

    Raises:
        SearchError: when the depth is not a count, or ``on_error`` neither of its values.

    """

    def __init__(
        self,
        retriever: Retriever,
        scorer: PairScorer | None,
        fusion: Fusion,
        *,
        depth: int = 100,
        on_error: OnError = "raise",
    ) -> None:
        self._stages = Stages(retriever, scorer, on_error)
        self._fusion = fusion
        self._depth = count("depth", depth)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
    ) -> Ranking:
        """Return the best ``k`` documents of a query; see ``search_many``."""
        [ranking] = self.search_many([query], k, depth=depth, fusion=fusion, filter=filter)
        return ranking

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query, in order.

        Pairs of all queries are scored together, so that batches fill across queries.

        Args:
            queries: (q,) the queries' texts; one that finds nothing gives an empty ranking.
            k: how many documents at most, a query. Where it is larger than the depth, the
                documents beyond the depth follow in the first stage's order.
            depth: how many of the first stage's best are scored and fused.
            fusion: in place of the pipeline's own.
            filter: only documents that match it are considered.

        Raises:
            SearchError: when k or the depth is not a count, or a query not a string.
            RetrieverError: when the first stage cannot search.
            RerankerError: when the second stage cannot score, unless ``on_error`` forgives.
            ScoringError: when its scores cannot be used, unless ``on_error`` forgives.
            FusionError: when the scores cannot be fused.

        """
        return list(self.stream(queries, k, depth=depth, fusion=fusion, filter=filter))

    def stream(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
    ) -> Iterator[Ranking]:
        """Yield what ``search_many`` returns, some hundred queries at a time, in bounded memory."""
        _check_queries(queries)
        count("k", k)
        depth = self._depth if depth is None else count("depth", depth)
        found = self._stages.run(queries, k=k, depth=depth, filter=filter)
        return (fuse(candidates, fusion or self._fusion, k) for candidates in found)

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
    ) -> Ranking:
        """Search in a thread; see ``search``.

        Cancelling stops the waiting at once; the search itself ends in its thread, unheard.
        """
        return await asyncio.to_thread(
            self.search, query, k, depth=depth, fusion=fusion, filter=filter
        )


def fuse(candidates: Candidates, fusion: Fusion, k: int) -> Ranking:
    """Make a ranking of what both stages say: one stable sort, ties in the first stage's order.

    Only what the second stage was to score is fused, so that k changes no score; hits beyond
    follow with NaN. Where nothing was scored, the first stage's scores stand.

    Raises:
        FusionError: when the fusion fails, or does not give one number a document.

    """
    started = perf_counter()
    hits, (_, scores) = candidates.hits, candidates.columns
    rerank, rerank_ranks = _padded(scores, len(hits)), np.zeros(len(hits), dtype=np.int32)
    fused = hits.scores
    if candidates.status.scored:
        fused = _padded(_fused(fusion, candidates.columns), len(hits))
        rerank_ranks[: len(scores)] = np.nan_to_num(ranks(scores[None, :].astype(np.float64))[0])
    best = np.argsort(-fused, kind="stable")[:k]  # NaN goes last
    return Ranking(
        ids=hits.ids[best],
        texts=hits.texts[best],
        retrieval=hits.scores[best],
        rerank=rerank[best],
        fused=fused[best],
        retrieval_ranks=(best + 1).astype(np.int32),
        rerank_ranks=rerank_ranks[best],
        status=candidates.status,
        timings=Timings(candidates.retrieval, candidates.rerank, perf_counter() - started),
    )


def _fused(fusion: Fusion, columns: NDArray[np.float32]) -> NDArray[np.float32]:
    fused = np.asarray(fusion(columns), dtype=np.float32)
    if fused.shape != columns.shape[1:] or np.isinf(fused).any():
        raise FusionError(
            f"expected from the fusion ({columns.shape[1]},) scores, finite or NaN, "
            f"found shape {fused.shape}{' with infinity' if np.isinf(fused).any() else ''}"
        )
    return fused


def _padded(scores: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    return np.concatenate([scores, np.full(n - len(scores), np.nan, dtype=np.float32)])


def _check_queries(queries: Sequence[str]) -> None:
    if isinstance(queries, str):
        raise SearchError("expected a sequence of queries, found one string: use search()")
    for place, query in enumerate(queries):
        if not isinstance(query, str):
            raise SearchError(
                f"expected query {place} to be a string, found {type(query).__name__}"
            )
