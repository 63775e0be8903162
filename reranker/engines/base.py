"""What runs a batch: the one plug point of this package."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reranker.tokens import TokenRows

__all__ = ["Engine"]


class Engine(Protocol):
    """Runs a model over batches of token ids; safe to call from several threads.

    Attributes:
        labels: how many logits the model gives a row.
        words: how many tokens it knows.
        positions: how many tokens a row may have; None where that is not limited.
        token_budget: how many padded tokens a batch had best have on this device.
        lanes: how many batches it had best be given at one time: a device that works by itself
            starts on the next while the last one's result is fetched.
        devices: how many of them are computed at one time, so that small work is worth dividing.

    """

    @property
    def labels(self) -> int: ...  # noqa: D102
    @property
    def words(self) -> int: ...  # noqa: D102
    @property
    def positions(self) -> int | None: ...  # noqa: D102
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
