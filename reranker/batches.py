"""Rows -> batches of about one length, each within a budget of padded tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from reranker.base import RerankerError
from reranker.engines.base import Engine
from reranker.tokens import TokenRows

__all__ = ["BatchRunner", "plan"]


def plan(
    lengths: NDArray[np.int64], token_budget: int, max_rows: int | None = None
) -> list[NDArray[np.int64]]:
    """Cut rows into batches whose padded size, rows times longest row, keeps to a budget.

    Rows are taken longest first, so that a batch has rows of about one length and the largest
    batch comes first; equal lengths keep their order. A row longer than the budget is alone.

    Args:
        lengths: (n,) int64, the rows' tokens.
        token_budget: padded tokens a batch at most.
        max_rows: rows a batch at most; unbounded by default.

    Returns:
        The batches, each (b,) int64 row numbers; every row is in exactly one.

    """
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        fitting = max(1, token_budget // max(1, int(lengths[order[start]])))
        stop = start + min(fitting, max_rows or fitting)
        batches.append(order[start:stop])
        start = stop
    return batches


class BatchRunner:
    """Scores rows with an engine, batch by batch, within its memory.

    When the device has no room for a batch, the batch is cut in two and the budget of the batches
    to come is lowered for good, so that one large request does not fail and the next does not try
    what failed. Only a single row that does not fit is an error.
    """

    def __init__(self, engine: Engine, token_budget: int | None = None) -> None:
        self._engine = engine
        self.token_budget = engine.token_budget if token_budget is None else token_budget

    def run(
        self,
        rows: TokenRows,
        *,
        max_rows: int | None = None,
        done: Callable[[int], None] = lambda _: None,
    ) -> NDArray[np.float32]:
        """Return (n, labels) float32: the logits of each row, in the rows' order.

        Args:
            rows: the rows.
            max_rows: rows a batch at most.
            done: told after each batch how many rows it had.

        Raises:
            RerankerError: when a single row is too much for the device's memory.

        """
        logits = np.empty((len(rows), self._engine.labels), dtype=np.float32)
        lengths = rows.lengths
        for planned in plan(lengths, self.token_budget, max_rows):
            for batch in self._within_budget(planned, lengths):
                for part, scores in self._fitting(rows, batch):
                    logits[part] = scores
                    done(len(part))
        return logits

    def _within_budget(
        self, batch: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Iterator[NDArray[np.int64]]:
        """Cut a planned batch again where the budget has fallen since it was planned."""
        for part in plan(lengths[batch], self.token_budget):
            yield batch[part]

    def _fitting(
        self, rows: TokenRows, batch: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Score a batch, in halves where it does not fit."""
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            try:
                yield part, self._engine.logits(rows.take(part))
            except MemoryError as error:
                waiting += reversed(self._halves(part, rows.lengths, error))

    def _halves(
        self, part: NDArray[np.int64], lengths: NDArray[np.int64], error: MemoryError
    ) -> list[NDArray[np.int64]]:
        longest = int(lengths[part].max())
        if len(part) == 1:
            raise RerankerError(
                f"expected room for one pair of {longest} tokens, but the device's memory is full; "
                "free memory, lower max_length or use another device"
            ) from error
        self.token_budget = min(self.token_budget, len(part) * longest // 2)
        return np.array_split(part, 2)
