"""What an engine is, and how rows go through it: in batches of about one length."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.text.tokens import TokenRows
from twopass.reranker.threads import Helpers

__all__ = [
    "BatchRunner",
    "Engine",
    "plan_batches",
]


def plan_batches(
    lengths: NDArray[np.int64], token_budget: int, max_rows: int | None = None
) -> list[NDArray[np.int64]]:
    """Cut rows into batches whose padded size, rows times longest row, keeps to a budget.

    Rows are taken longest first, so that a batch has rows of about one length and the largest
    batch comes first; equal lengths keep their order. A row longer than the budget is a batch
    by itself.

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


class Engine(Protocol):
    """Runs a model over batches of token ids; safe to call from several threads.

    Attributes:
        labels: how many logits the model gives a row.
        vocabulary_size: how many tokens it knows.
        max_positions: how many tokens a row may have; None where that is not limited.
        token_budget: the best size of a batch on this device, in padded tokens.
        lanes: the best number of batches in flight: a device that works asynchronously starts on
            the next one while the last one's result is fetched.
        devices: how many of them are computed at the same time, so that small work is
            worth dividing.

    """

    @property
    def labels(self) -> int: ...  # noqa: D102
    @property
    def vocabulary_size(self) -> int: ...  # noqa: D102
    @property
    def max_positions(self) -> int | None: ...  # noqa: D102
    @property
    def token_budget(self) -> int: ...  # noqa: D102
    @property
    def lanes(self) -> int: ...  # noqa: D102
    @property
    def devices(self) -> int: ...  # noqa: D102

    def logits(self, batch: TokenRows) -> NDArray[np.float32]:
        """Return (n, labels) float32: the model's raw output for each row, in order.

        Raises:
            MemoryError: when the device has no room for the batch; a smaller one may fit.

        """
        ...


_LEAST = 4096  # padded tokens from which on a device is worth using


class BatchRunner:
    """Scores rows with an engine, batch by batch, within its memory.

    When the device has no room for a batch, the batch is cut in two and the budget of later
    batches is lowered permanently, so that one large request does not fail and the next does not
    try what failed. Only a single row that does not fit is an error.

    An engine gets as many batches at the same time as it has lanes: on a GPU the next batch is put
    together, copied and started while the last is computed and fetched.
    """

    def __init__(self, engine: Engine, token_budget: int | None = None) -> None:
        self._engine = engine
        self._helpers = Helpers(engine.lanes - 1)
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
            done: called after each batch with its number of rows, by one thread at a time.

        Raises:
            RerankerError: when a single row is too much for the device's memory.

        """
        logits = np.empty((len(rows), self._engine.labels), dtype=np.float32)
        lengths = rows.lengths
        reporting = Lock()

        def score(planned: NDArray[np.int64]) -> None:
            waiting = [planned]
            while waiting:
                batch = waiting.pop()
                parts = plan_batches(lengths[batch], self.token_budget)
                if len(parts) > 1:  # the budget has fallen since this was planned
                    waiting += [batch[part] for part in reversed(parts)]
                    continue
                try:
                    logits[batch] = self._engine.logits(rows.take(batch))
                except MemoryError as error:
                    self._lower(lengths[batch], error)
                    waiting.append(batch)
                else:
                    with reporting:
                        done(len(batch))

        self._helpers.run(score, plan_batches(lengths, self._share(lengths), max_rows))
        return logits

    def _share(self, lengths: NDArray[np.int64]) -> int:
        """Return the budget of batches that leave no device idle, where there is work for all."""
        devices = self._engine.devices
        fair = -(-int(lengths.sum()) // devices)
        return self.token_budget if devices == 1 else min(self.token_budget, max(_LEAST, fair))

    def _lower(self, lengths: NDArray[np.int64], error: MemoryError) -> None:
        """Halve the budget to below a batch for which there was no room."""
        longest = int(lengths.max())
        if len(lengths) == 1:
            raise RerankerError(
                f"expected room for one pair of {longest} tokens, but the device's memory is full; "
                "free memory, lower max_length or use another device"
            ) from error
        self.token_budget = min(self.token_budget, len(lengths) * longest // 2)
