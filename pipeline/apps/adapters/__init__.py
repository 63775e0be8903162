"""Adapters for other frameworks; each module needs the extra of the same name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twopass.reranker.contract.scorer import PairScorer

__all__ = [
    "best",
]


def best(
    scorer: PairScorer, query: str, texts: Sequence[str], most: int | None = None
) -> list[tuple[int, float]]:
    """Return positions and scores of the best texts, best first; ties keep their order."""
    if not texts:
        return []
    scores = scorer.predict([(query, text) for text in texts])
    order = np.argsort(-scores, kind="stable")[:most]
    return [(int(row), float(scores[row])) for row in order]
