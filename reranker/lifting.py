"""A plain scorer as one that keeps deadlines, and is held to its promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.base import PairScorer
from reranker.deadlines import Deadline, Pace, estimated_tokens, longest_read, score_until
from reranker.errors import OutputError
from reranker.scores import Scores

__all__ = ["LiftedScorer", "check_scores"]


class LiftedScorer:
    """Makes a ``DetailedScorer`` of a ``PairScorer``.

    Args:
        scorer: what scores.

    """

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer
        self._pace = Pace()

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the scorer's own answer, checked.

        Raises:
            OutputError: when it is not one finite score a pair.

        """
        scores = np.asarray(self._scorer.predict(pairs))
        return check_scores(scores, pairs, type(self._scorer).__name__)

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the scores of the pairs that were reached by the deadline.

        Raises:
            OutputError: when the scorer does not give one finite score a pair.

        """
        until = Deadline.after(deadline)
        tokens = estimated_tokens(pairs, longest_read(self._scorer))
        values = score_until(until, lambda part: self.predict(pairs[part]), tokens, self._pace)
        scored = int(np.count_nonzero(~np.isnan(values)))
        reason = "" if scored == len(pairs) else until.reason(scored, len(pairs))
        return Scores(values, reason, type(self._scorer).__name__)


def check_scores(
    scores: NDArray[np.floating], pairs: Sequence[tuple[str, str]], name: str
) -> NDArray[np.float32]:
    """Return (n,) float32: the scores, if there is one finite number a pair.

    Raises:
        OutputError: when not; the message names the scorer, and the pair where there is one.

    """
    if scores.shape != (len(pairs),):
        raise OutputError(
            f"expected one score a pair from {name}, shape ({len(pairs)},), found {scores.shape}; "
            "a model with several labels is no reranker"
        )
    if not np.issubdtype(scores.dtype, np.floating):
        raise OutputError(f"expected float scores from {name}, found {scores.dtype}")
    if not np.isfinite(scores).all():
        worst = int(np.argmin(np.isfinite(scores)))
        raise OutputError(
            f"expected finite scores from {name}, found {scores[worst]} for query "
            f"{pairs[worst][0]!r:.80} and passage {pairs[worst][1]!r:.80}"
        )
    return scores.astype(np.float32, copy=False)
