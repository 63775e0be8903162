"""Teachers' scores for the examples, and negatives that a teacher takes for relevant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reranker.base import PairScorer
from reranker.training.examples import Example

__all__ = ["Taught", "keep_within", "teach"]

_AT_ONCE = 4096  # pairs


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples with scores.

    Attributes:
        examples: in the same order.
        spreads: each teacher's: the mean standard deviation of its scores within a list.

    """

    examples: list[Example]
    spreads: tuple[float, ...]


def teach(
    examples: Sequence[Example],
    teachers: Iterable[PairScorer],
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Taught:
    """Give the examples the mean of the teachers' scores, each in units of its own spread.

    Args:
        examples: lists; their present scores are replaced.
        teachers: any scorers; their scores may be of any unit.
        progress: told how many pairs are scored.

    Raises:
        RerankerError: when a teacher fails.

    """
    pairs = [(e.query, p) for e in examples for p in e.passages]
    ends = np.cumsum([len(e.passages) for e in examples])
    # a passage's pairs behind each other: an encoder reads it once
    order = sorted(range(len(pairs)), key=lambda row: pairs[row][1])
    total = np.zeros(len(pairs), np.float64)
    spreads: list[float] = []
    for teacher in teachers:
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _AT_ONCE):
            rows = order[start : start + _AT_ONCE]
            scores[rows] = teacher.predict([pairs[row] for row in rows])
            progress(len(spreads) * len(pairs) + start + len(rows))
        spread = _spread(np.split(scores, ends[:-1]))
        spreads.append(spread)
        total += scores / spread
    mean = total / max(1, len(spreads))
    taught = [
        replace(e, scores=tuple(np.round(column, 5).tolist()))
        for e, column in zip(examples, np.split(mean, ends[:-1]), strict=True)
    ]
    return Taught(taught, tuple(spreads))


def _spread(columns: Sequence[NDArray[np.float32]]) -> float:
    within = [float(column.std()) for column in columns if len(column) > 1]
    return max(float(np.mean(within)) if within else 1.0, 1e-6)


def keep_within(examples: Sequence[Example], margin: float) -> tuple[list[Example], int]:
    """Leave out negatives that the teacher puts above the best relevant passage, less a margin.

    They are likely relevant and unjudged: Qu et al. 2021 (RocketQA), arXiv:2010.08191; by a margin
    to the relevant passage, Moreira et al. 2024 (NV-Retriever), arXiv:2407.15831.

    Returns:
        The examples with what is left of each list, and how many passages were left out; a list
        without scores or labels stays as it is.

    """
    kept: list[Example] = []
    dropped = 0
    for e in examples:
        if not (e.scores and e.positives):
            kept.append(e)
            continue
        ceiling = max(s for s, label in zip(e.scores, e.labels, strict=True) if label > 0) - margin
        places = [
            at
            for at, (score, label) in enumerate(zip(e.scores, e.labels, strict=True))
            if label > 0 or score <= ceiling
        ]
        dropped += len(e.passages) - len(places)
        passages = tuple(e.passages[at] for at in places)
        labels = tuple(e.labels[at] for at in places)
        scores = tuple(e.scores[at] for at in places)
        kept.append(Example(e.query, passages, labels, scores))
    return kept, dropped
