"""Strings that lie apart -> one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["gather"]


@njit
def gather(data: Any, starts: Any, stops: Any, out: Any, ends: Any) -> None:
    """Copy parts of some bytes to where they follow one another.

    Args:
        data: (b,) uint8.
        starts: (n,) int64: where each part begins.
        stops: (n,) int64: where it ends.
        out: as many uint8 as the parts have together.
        ends: (n,) int64: receives where each one ends there.

    """
    at = np.uint64(0)
    for i in range(len(starts)):
        for place in range(np.uint64(starts[i]), np.uint64(stops[i])):
            out[at] = data[place]
            at += np.uint64(1)
        ends[i] = at
