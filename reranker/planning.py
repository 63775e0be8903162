"""Rows -> batches of about one length, each within a budget of padded tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["plan"]


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
