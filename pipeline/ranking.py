"""What a search returns: aligned columns, best first, with what each stage said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "RerankOutcome", "RerankStatus", "Timings"]

RerankOutcome: TypeAlias = Literal["complete", "partial", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class RerankStatus:
    """How the second stage went for one query.

    Attributes:
        outcome: ``complete``: all candidates were scored; ``partial``: some; ``skipped``: none,
            because there was nothing to do; ``failed``: none, because scoring went wrong or time
            was up, and the ranking is the first stage's.
        scored: how many candidates got a score.
        candidates: how many were to get one: the first stage's best, up to the depth, or those of
            them that a cascade chose.
        reason: why not all; where all were, empty, or why not the first scorer of a chain did it.
        by: which scorer answered; empty where none did.

    Raises:
        ValueError: when counts, outcome and reason contradict each other.

    """

    outcome: RerankOutcome
    scored: int
    candidates: int
    reason: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        fits = {
            "complete": self.scored == self.candidates > 0,
            "partial": 0 < self.scored < self.candidates,
            "skipped": self.scored == 0,
            "failed": self.scored == 0 < self.candidates,
        }
        if not fits.get(self.outcome, False):
            raise ValueError(
                f"{self.scored} of {self.candidates} scored does not fit {self.outcome!r}"
            )
        if not self.reason and self.outcome != "complete":
            raise ValueError(f"expected a reason for {self.outcome!r}, found none")


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock seconds by stage; queries that were searched together share theirs evenly."""

    retrieval: float
    rerank: float
    fusion: float

    @property
    def total(self) -> float:
        """All stages, in seconds."""
        return self.retrieval + self.rerank + self.fusion


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The result of one query, best first; may be empty.

    Attributes:
        ids: (n,) object, unique ``str``: the documents' ids.
        texts: (n,) object, ``str``: the documents' texts.
        retrieval: (n,) float32, finite: the first stage's scores.
        rerank: (n,) float32: the second stage's scores, NaN where it did not score.
        fused: (n,) float32, non-increasing, NaN last: what the order is by. NaN are documents
            that the second stage did not score or fusion did not rank; they keep the first
            stage's order, or that of a further opinion. Where the second stage was skipped or
            failed, these are the first stage's scores.
        retrieval_ranks: (n,) int32, from 1: ranks in the first stage's list.
        rerank_ranks: (n,) int32, from 1: ranks by the second stage's scores among all
            candidates; 0 where it did not score.
        status: how the second stage went.
        timings: how long each stage took.
        columns: further opinions by name, (n,) float32 each, NaN where there is none: of the
            scorers before the last, where the second stage is several.
        evidence: (n,) object: the ``Span`` of the text that the second stage's score comes from,
            or None; None for all where the scorer does not say.
        truncated: (n,) bool: whether query or text was cut to be read; None where the scorer does
            not say.
        warnings: what the first stage may have missed and why, for people: a shard of a server
            that did not answer.
        probabilities: (n,) float32: how likely each document is relevant, NaN where it was not
            scored; None where no calibrated scorer answered.

    Raises:
        ValueError: when the columns do not fit together or do not keep the rules above.

    """

    ids: NDArray[np.object_]
    texts: NDArray[np.object_]
    retrieval: NDArray[np.float32]
    rerank: NDArray[np.float32]
    fused: NDArray[np.float32]
    retrieval_ranks: NDArray[np.int32]
    rerank_ranks: NDArray[np.int32]
    status: RerankStatus
    timings: Timings
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    evidence: NDArray[np.object_] | None = None
    truncated: NDArray[np.bool_] | None = None
    warnings: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self._check_columns()
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("expected unique ids, found one twice")
        opinions = [self.rerank, self.fused, *self.columns.values()]
        if not np.isfinite(self.retrieval).all() or np.isinf(opinions).any():
            raise ValueError("expected finite scores, NaN only where not scored")
        if not (np.isnan(self.rerank) == (self.rerank_ranks == 0)).all():
            raise ValueError("expected rerank rank 0 exactly where there is no rerank score")
        placed = np.where(np.isnan(self.fused), -np.inf, self.fused)
        if (placed[1:] > placed[:-1]).any():
            raise ValueError("expected fused scores in non-increasing order, NaN last")

    def _check_columns(self) -> None:
        columns = {name: (getattr(self, name), dtype) for name, dtype in _DTYPES.items()}
        columns |= {name: (column, np.float32) for name, column in self.columns.items()}
        for name, (column, dtype) in columns.items():
            if column is None and name in _OPTIONAL:
                continue
            if column.shape != self.ids.shape or column.ndim != 1 or column.dtype != dtype:
                raise ValueError(
                    f"expected {name} of shape ({len(self.ids)},) and dtype {np.dtype(dtype)}, "
                    f"found {column.shape} and {column.dtype}"
                )

    def __len__(self) -> int:
        return len(self.ids)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the hits as plain values, fit for JSON.

        Each has ``rank``, ``id``, ``text``, ``retrieval``, ``rerank``, ``fused``,
        ``retrieval_rank`` and ``rerank_rank``; what was not scored is ``None``. Where there are
        any, also ``columns`` (further opinions by name), ``evidence`` (``start``, ``end``,
        ``passages``, ``read``), ``truncated`` and ``probability``.
        """
        return [
            {
                "rank": i + 1,
                "id": self.ids[i],
                "text": self.texts[i],
                "retrieval": float(self.retrieval[i]),
                "rerank": _number(self.rerank[i]),
                "fused": _number(self.fused[i]),
                "retrieval_rank": int(self.retrieval_ranks[i]),
                "rerank_rank": int(self.rerank_ranks[i]) or None,
                **self._further(i),
            }
            for i in range(len(self))
        ]

    def _further(self, i: int) -> dict[str, Any]:
        """Return what only some scorers say of hit i."""
        found: dict[str, Any] = {}
        if self.columns:
            found["columns"] = {name: _number(column[i]) for name, column in self.columns.items()}
        if self.evidence is not None:
            span = self.evidence[i]
            found["evidence"] = None if span is None else asdict(span)
        if self.truncated is not None:
            found["truncated"] = bool(self.truncated[i])
        if self.probabilities is not None:
            found["probability"] = _number(self.probabilities[i])
        return found


def _number(score: np.float32) -> float | None:
    return None if np.isnan(score) else float(score)


_DTYPES = {
    "ids": np.object_,
    "texts": np.object_,
    "retrieval": np.float32,
    "rerank": np.float32,
    "fused": np.float32,
    "retrieval_ranks": np.int32,
    "rerank_ranks": np.int32,
    "evidence": np.object_,
    "truncated": np.bool_,
    "probabilities": np.float32,
}
_OPTIONAL = ("evidence", "truncated", "probabilities")
