"""Retriever, scorer and fusion as one search."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Literal, TypeAlias, TypedDict, Unpack

import numpy as np

from twopass.pipeline.candidates import Candidates, Pairs, fuse, score_groups, status_of
from twopass.pipeline.errors import ScoringError, SearchError
from twopass.pipeline.fusion import Fusion
from twopass.pipeline.ranking import Ranking, RerankStatus
from twopass.reranker.contract.deadlines import NO_DEADLINE, Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.scorer import PairScorer, as_scorer
from twopass.reranker.contract.scores import Scores
from twopass.retriever.base import Retriever
from twopass.retriever.filters import Filter

__all__ = ["OnError", "SearchOptions", "SearchPipeline", "check_count"]

OnError: TypeAlias = Literal["raise", "first-stage"]

# Enough to fill batches of any engine; bounds memory, and the time between signs of life.
_PAIRS_AT_ONCE = 2048
_LEAST = 1e-6  # seconds: a deadline that has passed as good as one


class SearchOptions(TypedDict, total=False):
    """Keywords of a search; what is left out or None is as the pipeline was made.

    Attributes:
        depth: how many of the first stage's best are scored and fused.
        fusion: how both stages become one score.
        filter: only documents that match it are considered.
        deadline: seconds from the call, for all queries together; ``math.inf`` for none. Retrieval
            counts, though it is not cut short. The best candidates of all queries are scored first,
            then the second best, and so on.
        min_score: the least probability of a result; see ``twopass.pipeline.candidates``.

    """

    depth: int | None
    fusion: Fusion | None
    filter: Filter | None
    deadline: float | None
    min_score: float | None


class SearchPipeline:
    """Two-stage search: candidates, their scores, one ranking.

    It holds no state: as many threads may use it as its parts allow::

        pipeline = SearchPipeline(index, CrossEncoder(), fusion("weighted", weights=[0.3, 0.7]))
        ranking = pipeline.search("what helps against a migraine?", k=5, deadline=0.5)

    Args:
        retriever: the first stage.
        scorer: the second stage; ``None`` for the first stage only.
        fusion: how both become one score, for example ``twopass.pipeline.fusion.rrf``.
        depth: how many of the first stage's best are scored, unless a call says otherwise.
        on_error: what a scorer that fails leads to: ``raise`` its error, or ``first-stage``: the
            first stage's ranking, with the status ``failed`` and the reason. The first stage's
            errors are always raised.
        deadline: seconds that a search may take, unless a call says otherwise: candidates are
            scored in the first stage's order as far as there is time, the others stay below them
            in that order, and the status says ``partial``. None for no deadline.
        min_score: the probability of relevance that a result must have, unless a call says
            otherwise, where the scorer is calibrated. None for none.

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
        if on_error not in ("raise", "first-stage"):
            raise SearchError(f"expected on_error 'raise' or 'first-stage', found {on_error!r}")
        self.retriever = retriever
        self.scorer = scorer
        self.fusion = fusion
        self.depth = check_count("depth", depth)
        self._detailed = None if scorer is None else as_scorer(scorer)
        self._on_error = on_error
        self._deadline = _check_seconds(deadline)
        self._min_score = _check_probability(min_score)

    def search(self, query: str, k: int = 10, **options: Unpack[SearchOptions]) -> Ranking:
        """Return the best ``k`` documents of a query; see ``search_many``."""
        [ranking] = self.stream([query], k, **options)
        return ranking

    def search_many(
        self, queries: Sequence[str], k: int = 10, **options: Unpack[SearchOptions]
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query, in order.

        Pairs of all queries are scored together, so that batches fill across queries.

        Args:
            queries: (q,) the queries' texts; one that finds nothing gives an empty ranking.
            k: how many documents at most, a query. Where it is larger than the depth, the
                documents beyond the depth follow in the first stage's order.
            options: see ``SearchOptions``.

        Raises:
            SearchError: when k or the depth is not a count, the deadline no time, ``min_score``
                no probability, or a query not a string.
            RetrieverError: when the first stage cannot search.
            RerankerError: when the second stage cannot score, unless ``on_error`` forgives.
            ScoringError: when its scores cannot be used, unless ``on_error`` forgives.
            FusionError: when the scores cannot be fused.

        """
        return list(self.stream(queries, k, **options))

    async def asearch(self, query: str, k: int = 10, **options: Unpack[SearchOptions]) -> Ranking:
        """Search in a thread; see ``search``.

        Cancelling frees the caller at once; the search itself ends in its thread.
        """
        until = self._until(options.get("deadline"))

        def search() -> Ranking:  # waiting for a thread counts
            left = until.remaining
            options["deadline"] = math.inf if left is None else max(left, _LEAST)
            return self.search(query, k, **options)

        return await asyncio.to_thread(search)

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
        until = self._until(deadline)
        least = self._min_score if min_score is None else _check_probability(min_score)
        found = self.candidates(queries, k, depth=depth, filter=filter, until=until)
        return (fuse(each, fusion or self.fusion, k, min_score=least) for each in found)

    def candidates(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        depth: int | None = None,
        filter: Filter | None = None,
        until: Deadline = NO_DEADLINE,
    ) -> Iterator[Candidates]:
        """Run both stages without fusing them; yield what they say of each query, in order.

        Args:
            queries: (q,) the queries' texts.
            k: how many hits are wanted, a query.
            depth: how many of the best hits are scored. As many as the larger of the two are
                retrieved; only k where there is no scorer.
            filter: only documents that match it are considered.
            until: when scoring is to end. Then all pairs are scored in one go, so that time is
                shared between queries; otherwise some 2,000 at a time.

        Raises:
            SearchError: when k or the depth is not a count, or a query not a string.

        """
        _check_queries(queries)
        k = check_count("k", k)
        depth = self.depth if depth is None else check_count("depth", depth)
        size = max(1, _PAIRS_AT_ONCE // depth if until.remaining is None else len(queries))
        slices = (queries[start : start + size] for start in range(0, len(queries), size))
        return (each for some in slices for each in self._both(some, k, depth, filter, until))

    def _both(
        self, queries: Sequence[str], k: int, depth: int, filter: Filter | None, until: Deadline
    ) -> Iterator[Candidates]:
        """Retrieve and score for these queries at once."""
        started = perf_counter()
        fetched = k if self.scorer is None else max(k, depth)
        found = self.retriever.search(queries, fetched, filter=filter)
        retrieved = perf_counter()
        scored = self._score(
            [
                [(query, text) for text in hits.texts[:depth]]
                for query, hits in zip(queries, found, strict=True)
            ],
            until,
        )
        done = perf_counter()
        for hits, (scores, status) in zip(found, scored, strict=True):
            share = (retrieved - started) / len(queries), (done - retrieved) / len(queries)
            yield Candidates(hits, scores, status, *share)

    def _score(self, groups: list[Pairs], until: Deadline) -> list[_Scored]:
        """Score the pairs of all groups at once; one result a group."""
        if self._detailed is None or not any(groups):
            reason = "no second stage" if self._detailed is None else "no candidates"
            return [_none(group, "skipped", reason) for group in groups]
        try:
            parts = score_groups(self._detailed, groups, until)
        except Exception as error:
            if self._on_error == "raise":
                raise
            if isinstance(error, InputError | ScoringError) and len(groups) > 1:
                # one query's fault need not be another's
                return [self._score([group], until)[0] for group in groups]
            return [_none(group, "failed", f"{type(error).__name__}: {error}") for group in groups]
        return [(part, status_of(part)) for part in parts]

    def _until(self, deadline: float | None) -> Deadline:
        return Deadline.after(self._deadline if deadline is None else _check_seconds(deadline))


_Scored: TypeAlias = tuple[Scores, RerankStatus]


def _none(group: Pairs, outcome: Literal["skipped", "failed"], reason: str) -> _Scored:
    if not group:
        outcome, reason = "skipped", "no candidates"
    return Scores.none(len(group), reason), RerankStatus(outcome, 0, len(group), reason)


def check_count(name: str, value: int) -> int:
    """Check a count that a user gave.

    Raises:
        SearchError: when it is not a whole number of at least 1.

    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SearchError(f"expected {name} to be a whole number of at least 1, found {value!r}")
    return int(value)


def _check_queries(queries: Sequence[str]) -> None:
    if isinstance(queries, str):
        raise SearchError("expected a sequence of queries, found one string: use search()")
    for number, query in enumerate(queries):
        if not isinstance(query, str):
            raise SearchError(
                f"expected query {number} to be a string, found {type(query).__name__}"
            )


def _check_seconds(deadline: float | None) -> float | None:
    if deadline is not None and not (_is_number(deadline) and deadline > 0):
        raise SearchError(f"expected deadline to be seconds above 0, found {deadline!r}")
    return None if deadline is None else float(deadline)


def _check_probability(min_score: float | None) -> float | None:
    if min_score is not None and not (_is_number(min_score) and 0 <= min_score <= 1):
        raise SearchError(
            f"expected min_score to be a probability from 0 to 1, found {min_score!r}"
        )
    return None if min_score is None else float(min_score)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
