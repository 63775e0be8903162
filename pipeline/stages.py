"""Both stages on many queries: candidates, one scoring of all their pairs, and ``min_score``.

A threshold means one thing only. It applies where the calibrated scorer answered: then a document
stays if its probability is high enough, and goes if it is not or if it has none, for want of time
or for lying beyond the depth. Where another scorer answered, as in a chain that fell back, or none
did, nothing is known of any probability: all results stay, and the status says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from time import perf_counter
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import ScoringError, SearchError
from twopass.pipeline.ranking import RerankOutcome, RerankStatus
from twopass.reranker.contract.deadlines import NO_DEADLINE, Deadline
from twopass.reranker.contract.errors import InputError, OutputError
from twopass.reranker.contract.scorer import DetailedScorer, PairScorer, as_detailed
from twopass.reranker.contract.scores import Scores
from twopass.retriever.base import Retriever
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = [
    "Candidates",
    "OnError",
    "Stages",
    "above",
    "count",
    "probability",
    "score_groups",
    "status_of",
    "told",
]


OnError: TypeAlias = Literal["raise", "first-stage"]

_PAIRS_AT_ONCE = (
    2048  # fills batches of any engine; bounds memory, and the time between signs of life
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What both stages say of one query, before fusion.

    Attributes:
        hits: (n,) what the first stage found.
        scores: (m,) m <= n: what the second says of the first m hits, which it was to score.
        status: how the second stage went.
        retrieval: seconds that the first stage took.
        rerank: seconds that the second stage took.

    """

    hits: Hits
    scores: Scores
    status: RerankStatus
    retrieval: float
    rerank: float

    @property
    def columns(self) -> NDArray[np.float32]:
        """(s, m) float32, NaN where not scored: first stage, further opinions, final scorer."""
        first = self.hits.scores[: len(self.scores)]
        return np.stack([first, *self.scores.columns.values(), self.scores.values])


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
        if self.scorer is not None:
            object.__setattr__(self, "scorer", as_detailed(self.scorer))

    def run(
        self,
        queries: Sequence[str],
        *,
        k: int,
        depth: int,
        filter: Filter | None = None,
        deadline: Deadline = NO_DEADLINE,
    ) -> Iterator[Candidates]:
        """Run both stages, some 2,000 pairs at a time; one result a query, in order.

        With a deadline, all pairs are scored in one go, so that time is shared between queries.

        Args:
            queries: (q,) the queries' texts.
            k: how many hits are wanted, a query.
            depth: how many of the best hits are scored. As many as the larger of the two are
                retrieved; k alone where there is no scorer.
            filter: only documents that match it are considered.
            deadline: when scoring is to end.

        """
        timed = deadline.remaining is not None
        size = max(1, len(queries) if timed else _PAIRS_AT_ONCE // depth)
        for start in range(0, len(queries), size):
            yield from self._run(queries[start : start + size], k, depth, filter, deadline)

    def _run(
        self,
        queries: Sequence[str],
        k: int,
        depth: int,
        filter: Filter | None,
        deadline: Deadline,
    ) -> Iterator[Candidates]:
        started = perf_counter()
        fetched = k if self.scorer is None else max(k, depth)
        found = self.retriever.search(queries, fetched, filter=filter)
        retrieved = perf_counter()
        groups = [
            [(query, text) for text in hits.texts[:depth]]
            for query, hits in zip(queries, found, strict=True)
        ]
        scored = self._score(groups, deadline)
        done = perf_counter()
        for hits, (scores, status) in zip(found, scored, strict=True):
            share = (retrieved - started) / len(queries), (done - retrieved) / len(queries)
            yield Candidates(hits, scores, status, *share)

    def _score(self, groups: list[_Pairs], deadline: Deadline) -> list[_Scored]:
        """Score the pairs of all groups at once; one result a group."""
        if self.scorer is None or not any(groups):
            reason = "no candidates" if self.scorer else "no second stage"
            return [_none(group, "skipped", reason) for group in groups]
        try:
            parts = score_groups(as_detailed(self.scorer), groups, deadline)
        except (InputError, ScoringError) as error:  # one query's fault need not be another's
            if self.on_error == "raise":
                raise
            if len(groups) == 1:
                return [_none(groups[0], "failed", _describe(error))]
            return [self._score([group], deadline)[0] for group in groups]
        except Exception as error:
            if self.on_error == "raise":
                raise
            return [_none(group, "failed", _describe(error)) for group in groups]
        return [(part, status_of(part)) for part in parts]


_Pairs: TypeAlias = list[tuple[str, str]]
_Scored: TypeAlias = tuple[Scores, RerankStatus]


def score_groups(
    scorer: DetailedScorer, groups: list[_Pairs], deadline: Deadline = NO_DEADLINE
) -> list[Scores]:
    """Score the pairs of all groups in one call; one result a group, in order.

    With a deadline, pairs go in the order of their places in their groups: the first of each, the
    second of each, and so on, so that no group waits for another to be done.

    Raises:
        ScoringError: when the scorer does not give one finite score a pair.

    """
    pairs = list(chain.from_iterable(groups))
    sizes = [len(group) for group in groups]
    order = np.arange(len(pairs))
    if deadline.remaining is not None:
        order = np.argsort(np.concatenate([np.arange(size) for size in sizes]), kind="stable")
    try:
        scores = scorer.score([pairs[place] for place in order], deadline=deadline.remaining)
    except OutputError as error:
        raise ScoringError(str(error)) from error
    if len(scores) != len(pairs):
        raise ScoringError(
            f"expected one score a pair from {type(scorer).__name__}, {len(pairs)}, "
            f"found {len(scores)}"
        )
    scores = scores.take(np.argsort(order))
    ends = np.cumsum(sizes)
    return [scores.take(slice(end - size, end)) for end, size in zip(ends, sizes, strict=True)]


def status_of(scores: Scores) -> RerankStatus:
    """Return how the second stage went, by its scores."""
    n, scored = scores.wanted, scores.scored
    if n == 0:
        return RerankStatus("skipped", 0, 0, "no candidates")
    outcome: RerankOutcome = "failed" if not scored else "partial" if scored < n else "complete"
    return RerankStatus(outcome, scored, n, scores.reason, scores.by)


def _none(group: _Pairs, outcome: Literal["skipped", "failed"], reason: str) -> _Scored:
    if not group:
        outcome, reason = "skipped", "no candidates"
    return Scores.none(len(group), reason), RerankStatus(outcome, 0, len(group), reason)


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


def probability(min_score: float | None) -> float | None:
    """Check a threshold that a user gave.

    Raises:
        SearchError: when it is no probability.

    """
    if min_score is None:
        return None
    wrong = isinstance(min_score, bool) or not isinstance(min_score, int | float)
    if wrong or not 0 <= min_score <= 1:
        raise SearchError(
            f"expected min_score to be a probability from 0 to 1, found {min_score!r}"
        )
    return float(min_score)


def above(candidates: Candidates, min_score: float | None) -> NDArray[np.bool_]:
    """Return (n,) bool: which hits stay."""
    found = candidates.scores.probabilities
    if min_score is None or found is None:
        return np.ones(len(candidates.hits), dtype=np.bool_)
    stay = np.zeros(len(candidates.hits), dtype=np.bool_)
    stay[: len(found)] = np.nan_to_num(found, nan=-1.0) >= min_score
    return stay


def told(candidates: Candidates, min_score: float | None) -> RerankStatus:
    """Return the status, which says it where a threshold could not be applied."""
    status = candidates.status
    if min_score is None or candidates.scores.probabilities is not None or not status.candidates:
        return status
    why = f"min_score {min_score:g} not applied: no calibrated scorer answered"
    return replace(status, reason="; ".join(filter(None, (status.reason, why))))
