"""Retriever, scorer and fusion as one search."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError, SearchError
from twopass.pipeline.fusion import Fusion
from twopass.pipeline.fusion.base import ranks
from twopass.pipeline.ranking import Ranking, Timings
from twopass.pipeline.stages import Candidates, OnError, Stages, above, count, probability, told
from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.scorer import PairScorer
from twopass.retriever.base import Retriever
from twopass.retriever.filters import Filter

__all__ = ["SearchPipeline", "fuse"]

_LEAST = 1e-6  # seconds: a deadline that has passed as good as one

T = TypeVar("T", bound=np.generic)


class SearchPipeline:
    """Two-stage search: candidates, their scores, one ranking.

    It holds no state of its own: as many threads may use it as its parts allow.

    Args:
        retriever: the first stage.
        scorer: the second stage; ``None`` for the first stage alone.
        fusion: how both become one score, for example ``twopass.pipeline.fusion.rrf``.
        depth: how many of the first stage's best are scored, unless a call says otherwise.
        on_error: what a scorer that fails leads to: ``raise`` its error, or ``first-stage``: the
            first stage's ranking, with the status ``failed`` and the reason.
        deadline: seconds that a search may take, unless a call says otherwise: candidates are
            scored in the first stage's order as far as there is time, the others stay below them
            in that order, and the status says ``partial``. None for no deadline.
        min_score: the probability of relevance that a result must have, unless a call says
            otherwise, where the scorer is calibrated: see ``twopass.pipeline.stages``. None for
            none.

    Raises:
        SearchError: when the depth is not a count, the deadline no time, ``min_score`` no
            probability, or ``on_error`` neither of its values.

    """

    def __init__(
        self,
        retriever: Retriever,
        scorer: PairScorer | None,
        fusion: Fusion,
        *,
        depth: int = 100,
        on_error: OnError = "raise",
        deadline: float | None = None,
        min_score: float | None = None,
    ) -> None:
        self._stages = Stages(retriever, scorer, on_error)
        self._fusion = fusion
        self._depth = count("depth", depth)
        self._deadline = _seconds(deadline)
        self._min_score = probability(min_score)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
        deadline: float | None = None,
        min_score: float | None = None,
    ) -> Ranking:
        """Return the best ``k`` documents of a query; see ``search_many``."""
        [ranking] = self.search_many(
            [query],
            k,
            depth=depth,
            fusion=fusion,
            filter=filter,
            deadline=deadline,
            min_score=min_score,
        )
        return ranking

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
        deadline: float | None = None,
        min_score: float | None = None,
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
            deadline: seconds from now, in place of the pipeline's own, for all queries together;
                ``math.inf`` for none. Retrieval counts, though it is not cut short. The best
                candidates of all queries are scored first, then the second best, and so on.
            min_score: the least probability of a result, in place of the pipeline's own.

        Raises:
            SearchError: when k or the depth is not a count, the deadline no time, ``min_score``
                no probability, or a query not a string.
            RetrieverError: when the first stage cannot search.
            RerankerError: when the second stage cannot score, unless ``on_error`` forgives.
            ScoringError: when its scores cannot be used, unless ``on_error`` forgives.
            FusionError: when the scores cannot be fused.

        """
        return list(
            self.stream(
                queries,
                k,
                depth=depth,
                fusion=fusion,
                filter=filter,
                deadline=deadline,
                min_score=min_score,
            )
        )

    def stream(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
        deadline: float | None = None,
        min_score: float | None = None,
    ) -> Iterator[Ranking]:
        """Yield what ``search_many`` returns, some hundred queries at a time, in bounded memory.

        With a deadline, which counts from the call, all queries are searched at once.
        """
        until = Deadline.after(self._deadline if deadline is None else _seconds(deadline))
        _check_queries(queries)
        count("k", k)
        depth = self._depth if depth is None else count("depth", depth)
        found = self._stages.run(queries, k=k, depth=depth, filter=filter, deadline=until)
        least = self._min_score if min_score is None else probability(min_score)
        return (fuse(each, fusion or self._fusion, k, min_score=least) for each in found)

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        depth: int | None = None,
        fusion: Fusion | None = None,
        filter: Filter | None = None,
        deadline: float | None = None,
        min_score: float | None = None,
    ) -> Ranking:
        """Search in a thread; see ``search``.

        Cancelling stops the waiting at once; the search itself ends in its thread, unheard.
        """
        until = Deadline.after(self._deadline if deadline is None else _seconds(deadline))

        def search() -> Ranking:  # waiting for a thread counts
            left = until.remaining
            return self.search(
                query,
                k,
                depth=depth,
                fusion=fusion,
                filter=filter,
                deadline=math.inf if left is None else max(left, _LEAST),
                min_score=min_score,
            )

        return await asyncio.to_thread(search)


def fuse(
    candidates: Candidates, fusion: Fusion, k: int, *, min_score: float | None = None
) -> Ranking:
    """Make a ranking of what both stages say: one stable sort, ties in the first stage's order.

    Only what the second stage was to score is fused, so that k changes no score; hits beyond
    follow with NaN. So does what it was to score and did not: a sum that lacks a part is no lower
    sum, it is another thing. A search that was cut short is the search of that lesser depth. Where
    nothing was scored, the first stage's scores stand. A threshold takes hits out at the end; see
    ``twopass.pipeline.stages``.

    Raises:
        FusionError: when the fusion fails, or does not give one number a document.

    """
    started = perf_counter()
    hits, scores = candidates.hits, candidates.scores
    n = len(hits)
    rerank, rerank_ranks = _padded(scores.values, n), np.zeros(n, dtype=np.int32)
    fused = hits.scores
    if scores.scored:
        fused = _padded(_fused(fusion, candidates.columns), n)
        rerank_ranks[:] = np.nan_to_num(ranks(rerank[None, :].astype(np.float64))[0])
    columns = {name: _padded(column, n) for name, column in scores.columns.items()}
    best = _order(fused, list(columns.values()))
    best = best[above(candidates, min_score)[best]][:k]
    evidence, truncated, probabilities = scores.evidence, scores.truncated, scores.probabilities
    return Ranking(
        ids=hits.ids[best],
        texts=hits.texts[best],
        retrieval=hits.scores[best],
        rerank=rerank[best],
        fused=fused[best],
        retrieval_ranks=(best + 1).astype(np.int32),
        rerank_ranks=rerank_ranks[best],
        status=told(candidates, min_score),
        timings=Timings(candidates.retrieval, candidates.rerank, perf_counter() - started),
        columns={name: column[best] for name, column in columns.items()},
        evidence=None if evidence is None else _padded(evidence, n, None)[best],
        truncated=None if truncated is None else _padded(truncated, n, False)[best],
        warnings=hits.warnings,
        probabilities=None if probabilities is None else _padded(probabilities, n)[best],
    )


def _fused(fusion: Fusion, columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fuse (s, m) columns of the documents that the last has; NaN for the others."""
    scored = ~np.isnan(columns[-1])
    found = np.asarray(fusion(columns[:, scored]), dtype=np.float32)
    n = int(np.count_nonzero(scored))
    if found.shape != (n,) or np.isinf(found).any():
        raise FusionError(
            f"expected from the fusion ({n},) scores, finite or NaN, "
            f"found shape {found.shape}{' with infinity' if np.isinf(found).any() else ''}"
        )
    fused = np.full(len(scored), np.nan, dtype=np.float32)
    fused[scored] = found
    return fused


def _order(fused: NDArray[np.float32], opinions: list[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Sort (n,) hits: by what is fused, below it by the opinions, the last first; stably."""
    unplaced = np.isnan(fused)
    keys = [np.where(unplaced, -opinion, 0) for opinion in opinions]
    return np.lexsort([*keys, -fused])  # the last key counts most; NaN goes last in each


def _padded(column: NDArray[T], n: int, filling: Any = np.nan) -> NDArray[T]:
    """Lengthen a column to (n,)."""
    return np.concatenate([column, np.full(n - len(column), filling, dtype=column.dtype)])


def _check_queries(queries: Sequence[str]) -> None:
    if isinstance(queries, str):
        raise SearchError("expected a sequence of queries, found one string: use search()")
    for place, query in enumerate(queries):
        if not isinstance(query, str):
            raise SearchError(
                f"expected query {place} to be a string, found {type(query).__name__}"
            )


def _seconds(deadline: float | None) -> float | None:
    """Check a deadline that a user gave.

    Raises:
        SearchError: when it is no number above zero.

    """
    if deadline is None:
        return None
    if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not deadline > 0:
        raise SearchError(f"expected deadline to be seconds above 0, found {deadline!r}")
    return float(deadline)
