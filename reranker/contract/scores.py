"""What scorers return beyond numbers: what was not scored and why, who scored, what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import OutputError, UnscoredError

__all__ = ["Scores", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a document its score comes from.

    Attributes:
        start: the part's first character, from 0.
        end: the character behind its last.
        passages: how many passages the document has.
        read: how many of them were scored.

    Raises:
        ValueError: when the numbers contradict each other.

    """

    start: int
    end: int
    passages: int
    read: int

    def __post_init__(self) -> None:
        if not (0 <= self.start <= self.end and 1 <= self.read <= self.passages):
            raise ValueError(f"expected a part of a text and passages read of all, found {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a scorer says of n pairs, in the pairs' order.

    Attributes:
        values: (n,) float32, finite, NaN where a pair was not scored: one kind of score, never
            some pairs by one scorer and some by another.
        reason: why it went otherwise than asked: why pairs were not scored, or why it was not the
            first scorer of a chain that answered. Empty where all went well.
        by: which scorer answered.
        columns: further opinions by name, (n,) float32 each, NaN where there is none: those of the
            scorers before the last, in their order.
        evidence: (n,) object, a ``Span`` or None a pair: which part of the document its score
            comes from; None where the scorer does not say.
        truncated: (n,) bool: whether a text of the pair was cut; None where the scorer does not
            say.
        probabilities: (n,) float32 from 0 to 1, NaN where not scored: how likely the pair is
            relevant; None where the scorer is not calibrated.
        passed_over: (n,) bool: which pairs were not to be scored, as a cascade chose others; None
            where all were.

    Raises:
        ValueError: when the arrays do not fit together, a score is infinite, or pairs were not
            scored and no reason is given.

    """

    values: NDArray[np.float32]
    reason: str = ""
    by: str = ""
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    evidence: NDArray[np.object_] | None = None
    truncated: NDArray[np.bool_] | None = None
    probabilities: NDArray[np.float32] | None = None
    passed_over: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        numbers = {"values": self.values, **self.columns}
        for name, column in numbers.items():
            self._check(name, column, np.float32)
            if np.isinf(column).any():
                raise ValueError(f"expected finite scores, NaN where not scored, in {name!r}")
        if self.evidence is not None:
            self._check("evidence", self.evidence, np.object_)
        if self.truncated is not None:
            self._check("truncated", self.truncated, np.bool_)
        if self.probabilities is not None:
            self._check("probabilities", self.probabilities, np.float32)
        if self.passed_over is not None:
            self._check("passed_over", self.passed_over, np.bool_)
        if self.scored < self.wanted and not self.reason:
            raise ValueError("expected a reason where pairs were not scored, found none")

    def _check(self, name: str, column: NDArray[Any], dtype: type[np.generic]) -> None:
        if column.shape != (len(self),) or column.dtype != dtype:
            raise ValueError(
                f"expected {name!r} of shape ({len(self)},) and dtype {np.dtype(dtype)}, "
                f"found {column.shape} and {column.dtype}"
            )

    def __len__(self) -> int:
        return int(self.values.size)

    @classmethod
    def none(cls, n: int, reason: str, *, by: str = "") -> Scores:
        """Return the scores of n pairs of which none was scored."""
        return cls(np.full(n, np.nan, dtype=np.float32), reason, by)

    @classmethod
    def until(
        cls,
        deadline: Deadline,
        values: NDArray[np.float32],
        by: str,
        truncated: NDArray[np.bool_] | None = None,
    ) -> Scores:
        """Return the scores of the pairs that were reached by a deadline, NaN for the others."""
        scored = int(np.count_nonzero(~np.isnan(values)))
        reason = "" if scored == len(values) else deadline.reason(scored, len(values))
        return cls(values, reason, by, truncated=truncated)

    @property
    def scored(self) -> int:
        """How many pairs have a score."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def wanted(self) -> int:
        """How many pairs were to get a score."""
        return len(self) if self.passed_over is None else int(np.count_nonzero(~self.passed_over))

    @property
    def complete(self) -> bool:
        """Whether all pairs have a score."""
        return self.scored == len(self)

    def take(self, pairs: NDArray[np.int64] | slice) -> Scores:
        """Return the scores of the given pairs, in the given order.

        Where they all have a score though others of the same call had none, no reason is left.
        """
        values = self.values[pairs]
        settled = not self.complete and not np.isnan(values).any()
        return Scores(
            values=values,
            reason="" if settled else self.reason,
            by=self.by,
            columns={name: column[pairs] for name, column in self.columns.items()},
            evidence=None if self.evidence is None else self.evidence[pairs],
            truncated=None if self.truncated is None else self.truncated[pairs],
            probabilities=None if self.probabilities is None else self.probabilities[pairs],
            passed_over=None if self.passed_over is None else self.passed_over[pairs],
        )

    @classmethod
    def joined(
        cls,
        n: int,
        parts: Sequence[tuple[NDArray[np.int64] | slice, Scores]],
        reason: str = "",
        *,
        passed_over: bool = False,
    ) -> Scores:
        """Return the scores of n pairs from those of parts of them.

        Args:
            n: how many pairs there are.
            parts: which pairs, and their scores; all of one scorer.
            reason: why some pairs are in no part; by default a part's own reason.
            passed_over: whether those were not to be scored, which needs no reason.

        Raises:
            OutputError: when the parts are of different scorers: their scores are of different
                kinds.

        """
        found = [scores for _, scores in parts]
        by = {scores.by for scores in found}
        if len(by) > 1:
            raise OutputError(
                f"expected scores of one kind, found some by {' and some by '.join(sorted(by))}: "
                "put a chain of scorers around what splits requests, not into it"
            )
        names = dict.fromkeys(name for scores in found for name in scores.columns)
        columns = {name: np.full(n, np.nan, dtype=np.float32) for name in names}
        values = np.full(n, np.nan, dtype=np.float32)
        evidence = np.full(n, None, dtype=object)
        truncated = np.zeros(n, dtype=np.bool_)
        probabilities = np.full(n, np.nan, dtype=np.float32)
        over = np.full(n, passed_over)
        for pairs, scores in parts:
            values[pairs] = scores.values
            for name, column in scores.columns.items():
                columns[name][pairs] = column
            evidence[pairs] = scores.evidence
            truncated[pairs] = False if scores.truncated is None else scores.truncated
            if scores.probabilities is not None:
                probabilities[pairs] = scores.probabilities
            over[pairs] = False if scores.passed_over is None else scores.passed_over
        reasons = [reason, *(scores.reason for scores in found)]
        return cls(
            values,
            next(filter(None, reasons), ""),
            "".join(by),
            columns,
            evidence if any(scores.evidence is not None for scores in found) else None,
            truncated if any(scores.truncated is not None for scores in found) else None,
            probabilities if any(scores.probabilities is not None for scores in found) else None,
            over if over.any() else None,
        )

    def whole(self) -> NDArray[np.float32]:
        """Return the values of all pairs: what ``predict`` promises.

        Raises:
            UnscoredError: when one was not scored.

        """
        if not self.complete:
            raise UnscoredError(
                f"expected a score for each of {len(self)} pairs, found {self.scored}: "
                f"{self.reason or 'the others were passed over'}"
            )
        return self.values
