"""What both stages say of a query's candidates, and the ranking that a fusion makes of it.

A ``min_score`` means one thing only. It applies where the calibrated scorer answered: then a
document stays if its probability is high enough, and goes if it is not or if it has none, because
time was up or because it lies beyond the depth. Where another scorer answered, as in a chain that
fell back, or none did, no probability is known: all results stay, and the status says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError, ScoringError
from twopass.pipeline.fusion import Fusion
from twopass.pipeline.fusion.base import ranks
from twopass.pipeline.ranking import Ranking, RerankOutcome, RerankStatus, Timings
from twopass.reranker.contract.deadlines import NO_DEADLINE, Deadline
from twopass.reranker.contract.errors import OutputError
from twopass.reranker.contract.scorer import Scorer
from twopass.reranker.contract.scores import Scores
from twopass.retriever.hits import Hits

__all__ = ["Candidates", "Pairs", "fuse", "fused_order", "score_groups", "status_of"]

T = TypeVar("T", bound=np.generic)
Pairs: TypeAlias = list[tuple[str, str]]


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
        """(s, n) float32, NaN where not scored: first stage, further opinions, final scorer."""
        second = np.stack([*self.scores.columns.values(), self.scores.values])
        beyond = np.full((len(second), len(self.hits) - len(self.scores)), np.nan, np.float32)
        return np.vstack([self.hits.scores, np.hstack([second, beyond])])


def score_groups(
    scorer: Scorer, groups: list[Pairs], deadline: Deadline = NO_DEADLINE
) -> list[Scores]:
    """Score the pairs of all groups in one call; one result a group, in order.

    With a deadline, pairs go by their positions in their groups: the first of each, then the
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
        scores = scorer.score([pairs[i] for i in order], deadline=deadline.remaining)
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


def fuse(
    candidates: Candidates, fusion: Fusion, k: int, *, min_score: float | None = None
) -> Ranking:
    """Make a ranking of what both stages say: one stable sort, ties in the first stage's order.

    Only what the second stage was to score is fused, so that k changes no score; hits beyond
    follow with NaN. So does what it was to score and did not: a sum that lacks a part is no lower
    sum, it is another thing. A search that was cut short is the search of that lesser depth. Where
    nothing was scored, the first stage's scores stand. At the end, ``min_score`` takes hits out.

    Raises:
        FusionError: when the fusion fails, or does not give one number a document.

    """
    started = perf_counter()
    hits, scores, columns = candidates.hits, candidates.scores, candidates.columns
    fused, best = fused_order(columns, fusion)
    best = best[_passes(candidates, min_score)[best]][:k]
    n, opinions = len(hits), dict(zip(scores.columns, columns[1:-1, best], strict=True))
    rerank_ranks = np.nan_to_num(ranks(columns[-1:].astype(np.float64))[0]).astype(np.int32)
    evidence, truncated, probabilities = scores.evidence, scores.truncated, scores.probabilities
    return Ranking(
        ids=hits.ids[best],
        texts=hits.texts[best],
        retrieval=hits.scores[best],
        rerank=columns[-1, best],
        fused=fused[best],
        retrieval_ranks=(best + 1).astype(np.int32),
        rerank_ranks=rerank_ranks[best],
        status=_status(candidates, min_score),
        timings=Timings(candidates.retrieval, candidates.rerank, perf_counter() - started),
        columns=opinions,
        evidence=None if evidence is None else _padded(evidence, n, None)[best],
        truncated=None if truncated is None else _padded(truncated, n, False)[best],
        warnings=hits.warnings,
        probabilities=None if probabilities is None else _padded(probabilities, n, np.nan)[best],
    )


def fused_order(
    columns: NDArray[np.float32], fusion: Fusion
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return (n,) fused scores and the (n,) order that they make, as indices.

    Args:
        columns: (s, n), NaN where not scored, documents in the first stage's order. Those that
            the last column lacks get NaN; where it lacks all, the first stage's scores stand.
        fusion: how the columns become one.

    Raises:
        FusionError: when the fusion fails, or does not give one number a document.

    """
    fused = columns[0] if np.isnan(columns[-1]).all() else _fused(fusion, columns)
    unplaced = np.isnan(fused)
    # Below what is fused, the rest goes by the further opinions, the last first; stably.
    keys = [np.where(unplaced, -opinion, 0) for opinion in columns[1:-1]]
    return fused, np.lexsort([*keys, -fused])  # the last key counts most; NaN goes last in each


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


def _padded(column: NDArray[T], n: int, filling: Any) -> NDArray[T]:
    """Lengthen a column to (n,)."""
    return np.concatenate([column, np.full(n - len(column), filling, dtype=column.dtype)])


def _passes(candidates: Candidates, min_score: float | None) -> NDArray[np.bool_]:
    """Return (n,) bool: which hits stay."""
    found = candidates.scores.probabilities
    if min_score is None or found is None:
        return np.ones(len(candidates.hits), dtype=np.bool_)
    stay = np.zeros(len(candidates.hits), dtype=np.bool_)
    stay[: len(found)] = np.nan_to_num(found, nan=-1.0) >= min_score
    return stay


def _status(candidates: Candidates, min_score: float | None) -> RerankStatus:
    """Return the status, which says it where a threshold could not be applied."""
    status = candidates.status
    if min_score is None or candidates.scores.probabilities is not None or not status.candidates:
        return status
    why = f"min_score {min_score:g} not applied: no calibrated scorer answered"
    return replace(status, reason="; ".join(filter(None, (status.reason, why))))
