"""Whether differences of systems are more than chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["holm", "randomization_test", "t_test"]

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


def t_test(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p-values of Student's paired t-test.

    Args:
        differences: (m, q) differences of two systems, by measure and query.

    Returns:
        (m,) p-values; 1 where the systems do not differ at all or there is but one query, 0 where
        they differ by the same on each.

    """
    from scipy.stats import t

    m, q = differences.shape
    if q < 2:
        return np.ones(m)
    mean, error = differences.mean(axis=1), differences.std(axis=1, ddof=1) / np.sqrt(q)
    constant = error <= 1e-12 * np.abs(mean)  # what rounding leaves of no spread
    statistic = np.divide(mean, error, out=np.zeros(m), where=~constant)
    p_values: NDArray[np.float64] = 2 * t.sf(np.abs(statistic), q - 1)
    return np.where(constant, np.where(mean == 0, 1.0, 0.0), p_values)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values of several comparisons, so that one false finding in all is as unlikely.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: (c,) one a comparison.

    Returns:
        (c,) p-values, none below what it was.

    """
    c = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(c, 0, -1))
    corrected = np.empty(c)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
