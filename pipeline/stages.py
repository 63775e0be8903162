"""Both stages on many queries: candidates, and one scoring of all their pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ScoringError, SearchError
from pipeline.ranking import RerankStatus
from reranker.base import InputError, PairScorer
from retriever.base import Retriever
from retriever.filters import Filter
from retriever.hits import Hits

__all__ = ["Candidates", "OnError", "Stages", "count"]

OnError: TypeAlias = Literal["raise", "first-stage"]

_PAIRS_AT_ONCE = (
    2048  # fills batches of any engine; bounds memory, and the time between signs of life
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What both stages say of one query, before fusion.

    Attributes:
        hits: (n,) what the first stage found.
        columns: (2, m) float32, m <= n: both stages' scores of the first m hits, which the
            second stage was to score; NaN where it did not.
        status: how the second stage went.
        retrieval: seconds that the first stage took.
        rerank: seconds that the second stage took.

    """

    hits: Hits
    columns: NDArray[np.float32]
    status: RerankStatus
    retrieval: float
    rerank: float


@dataclass(frozen=True, slots=True)
class Stages:
    """A retriever and a scorer, before fusion.

    Attributes:
        retriever: the first stage.
        scorer: the second; ``None`` skips it.
        on_error: what a failing scorer leads to: ``raise``, or ``first-stage``, the first stage's
            ranking with the status ``failed``. The first stage's errors are always raised.

    Raises:
        SearchError: when ``on_error`` is neither.

    """

    retriever: Retriever
    scorer: PairScorer | None
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "first-stage"):
            raise SearchError(
                f"expected on_error 'raise' or 'first-stage', found {self.on_error!r}"
            )

    def run(
        self, queries: Sequence[str], *, k: int, depth: int, filter: Filter | None = None
    ) -> Iterator[Candidates]:
        """Run both stages, some 2,000 pairs at a time; one result a query, in order.

        Args:
            queries: (q,) the queries' texts.
            k: how many hits are wanted, a query.
            depth: how many of the best hits are scored. As many as the larger of the two are
                retrieved; k alone where there is no scorer.
            filter: only documents that match it are considered.

        """
        size = max(1, _PAIRS_AT_ONCE // depth)
        for start in range(0, len(queries), size):
            yield from self._run(queries[start : start + size], k, depth, filter)

    def _run(
        self, queries: Sequence[str], k: int, depth: int, filter: Filter | None
    ) -> Iterator[Candidates]:
        started = perf_counter()
        fetched = k if self.scorer is None else max(k, depth)
        found = self.retriever.search(queries, fetched, filter=filter)
        retrieved = perf_counter()
        groups = [
            [(query, text) for text in hits.texts[:depth]]
            for query, hits in zip(queries, found, strict=True)
        ]
        scored = self._score(groups)
        done = perf_counter()
        for hits, (scores, status) in zip(found, scored, strict=True):
            columns = np.stack([hits.scores[: len(scores)], scores])
            share = (retrieved - started) / len(queries), (done - retrieved) / len(queries)
            yield Candidates(hits, columns, status, *share)

    def _score(self, groups: list[list[tuple[str, str]]]) -> list[_Scores]:
        """Score the pairs of all groups at once; one result a group."""
        pairs = list(chain.from_iterable(groups))
        if self.scorer is None or not pairs:
            reason = "no candidates" if self.scorer else "no second stage"
            return [_none(group, "skipped", reason) for group in groups]
        try:
            scores = _predict(self.scorer, pairs)
        except (InputError, ScoringError) as error:  # one query's fault need not be another's
            if self.on_error == "raise":
                raise
            if len(groups) == 1:
                return [_none(groups[0], "failed", _describe(error))]
            return [self._score([group])[0] for group in groups]
        except Exception as error:
            if self.on_error == "raise":
                raise
            return [_none(group, "failed", _describe(error)) for group in groups]
        ends = np.cumsum([len(group) for group in groups])
        return [_complete(part) for part in np.split(scores, ends[:-1])]


_Scores: TypeAlias = tuple[NDArray[np.float32], RerankStatus]


def _predict(scorer: PairScorer, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
    """Score (n,) pairs, and hold the scorer to its promise.

    Raises:
        ScoringError: when there is not one finite score a pair.

    """
    scores = np.asarray(scorer.predict(pairs))
    name = type(scorer).__name__
    if scores.shape != (len(pairs),):
        raise ScoringError(
            f"expected one score a pair from {name}, shape ({len(pairs)},), found {scores.shape}; "
            "a model with several labels is no reranker"
        )
    if not np.issubdtype(scores.dtype, np.floating):
        raise ScoringError(f"expected float scores from {name}, found {scores.dtype}")
    if not np.isfinite(scores).all():
        worst = int(np.argmin(np.isfinite(scores)))
        raise ScoringError(
            f"expected finite scores from {name}, found {scores[worst]} for query "
            f"{pairs[worst][0]!r:.80} and passage {pairs[worst][1]!r:.80}"
        )
    return scores.astype(np.float32)


def _complete(scores: NDArray[np.float32]) -> _Scores:
    if len(scores) == 0:
        return scores, RerankStatus("skipped", 0, 0, "no candidates")
    return scores, RerankStatus("complete", len(scores), len(scores))


def _none(
    group: list[tuple[str, str]], outcome: Literal["skipped", "failed"], reason: str
) -> _Scores:
    if not group:
        outcome, reason = "skipped", "no candidates"
    scores = np.full(len(group), np.nan, dtype=np.float32)
    return scores, RerankStatus(outcome, 0, len(group), reason)


def count(name: str, value: int) -> int:
    """Check a count that a user gave.

    Raises:
        SearchError: when it is not a whole number of at least 1.

    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SearchError(f"expected {name} to be a whole number of at least 1, found {value!r}")
    return int(value)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
