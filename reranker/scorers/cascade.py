"""A cheap scorer over many candidates, and a costlier one over the few that it likes best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.inputs import check_pairs
from twopass.reranker.contract.scorer import PairScorer, Scorer, Wrapper, as_scorer
from twopass.reranker.contract.scores import Scores

__all__ = ["Cascade"]


class Cascade(Wrapper):
    """Two scorers as one.

    The cheap one scores all pairs; of each query's, the costly one scores those that the cheap one
    likes best. The scores are the costly one's alone, NaN for what was passed over; the cheap one's
    are a column of their own, so that no column mixes two kinds of score. Whoever sorts puts what
    has no score below what has one, in the order of the cheap one's column.

    Cascades may be nested: either scorer may be one. What a cascade says of itself is what the
    costly scorer says; it has no fingerprint, since whether a pair gets a score depends on the
    others of its call.

    Args:
        cheap: scores all.
        costly: scores the best.
        keep: how many pairs of a query the costly one scores at most.
        name: of the cheap one's column; by default ``cheap``.

    Raises:
        InputError: when ``keep`` is no count.

    """

    def __init__(
        self, cheap: PairScorer, costly: PairScorer, *, keep: int = 30, name: str = "cheap"
    ) -> None:
        if keep < 1:
            raise InputError(f"expected to keep at least 1 pair a query, found {keep}")
        super().__init__(costly)
        self._cheap = as_scorer(cheap)
        self._keep = keep
        self._column = name

    @property
    def fingerprint(self) -> None:
        """None: whether a pair gets a score depends on the others of its call."""
        return None

    @property
    def scorers(self) -> Sequence[Scorer]:
        """Both."""
        return (self._cheap, self.inner)

    def score(self, pairs: Sequence[tuple[str, str]], *, deadline: float | None = None) -> Scores:
        """Return the costly scorer's scores of the pairs that were kept, beside the cheap one's.

        Args:
            pairs: (n,) of a query and a passage each.
            deadline: seconds from now, for both.

        Raises:
            InputError: when a pair is not two strings.

        """
        until = Deadline.after(deadline)
        checked = check_pairs(pairs)
        first = self._cheap.score(checked, deadline=until.remaining)
        kept = _best([query for query, _ in checked], first.values, self._keep)
        second = self.inner.score([checked[i] for i in kept], deadline=until.remaining)
        whole = Scores.joined(len(checked), [(kept, second)], passed_over=True)
        columns = {**first.columns, self._column: first.values, **whole.columns}
        return replace(whole, reason=_joined(first.reason, second.reason), columns=columns)


def _joined(*reasons: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _best(queries: Sequence[str], scores: NDArray[np.float32], keep: int) -> NDArray[np.int64]:
    """Return the best scored pairs of each query, every query's best before any's second.

    Equal scores keep their order; a pair without a score comes after those that have one.
    """
    order = np.argsort(-scores, kind="stable")  # NaN goes last
    seen: dict[str, int] = {}
    ranks = np.empty(len(order), dtype=np.int64)
    for place, number in enumerate(order):
        ranks[place] = seen[queries[number]] = seen.get(queries[number], -1) + 1
    fitting = np.flatnonzero(ranks < keep)
    best: NDArray[np.int64] = order[fitting[np.argsort(ranks[fitting], kind="stable")]]
    return best
