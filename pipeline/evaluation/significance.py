"""Whether a difference of two systems is more than chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["randomization_test"]

_SIGNS_AT_ONCE = 10_000_000  # bytes


def randomization_test(
    differences: NDArray[np.float64], *, samples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the two-sided p-values of Fisher's paired randomisation test.

    Under the null hypothesis a query's two values could as well be swapped: the share of random
    swaps (signs of the differences) whose mean is at least as far from zero as the one that was
    found, this one counted.

    Source: Smucker, Allan & Carterette 2007, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation".

    Args:
        differences: (m, q) differences of two systems, by measure and query.
        samples: how many random swaps; the least p-value is 1 / (samples + 1).
        seed: of the random swaps; the same for all measures.

    Returns:
        (m,) p-values.

    """
    m, q = differences.shape
    found = np.abs(differences.sum(axis=1))
    margin = 1e-9 * np.abs(differences).sum(axis=1)  # sums in another order are no difference
    generator = np.random.default_rng(seed)
    as_far = np.ones(m)
    block = max(1, _SIGNS_AT_ONCE // max(q, 1))
    for start in range(0, samples, block):
        size = (min(block, samples - start), q)
        signs = generator.integers(0, 2, size=size, dtype=np.int8) * 2.0 - 1.0
        as_far += (np.abs(signs @ differences.T) >= found - margin).sum(axis=0)
    return as_far / (samples + 1)
