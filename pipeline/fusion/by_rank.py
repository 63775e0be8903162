"""Fusion by ranks only: each method takes columns (s, n) and returns (n,) float32.

Ranks count from 1 in each column; equal scores follow the first stage's order. A column says
nothing of a document that it did not score, except in Borda and Condorcet, where said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion.base import (
    Columns,
    as_columns,
    as_fused,
    as_weights,
    method,
    positive,
    ranks,
)

__all__ = ["rrf"]


@method("rrf")
def rrf(
    columns: Columns, *, k: float = 60.0, weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Fuse by reciprocal ranks: ``sum w / (k + r)``.

    Source: Cormack, Clarke & Buettcher 2009, with k = 60; Elasticsearch, OpenSearch and Vespa.

    Args:
        columns: (s, n) scores, of which only the order counts.
        k: above 0; the larger, the less the top ranks stand out.
        weights: (s,) at least 0; 1 each where none are given.

    Raises:
        FusionError: when k or the weights cannot be used.

    """
    values = as_columns(columns)
    shares = np.ones(len(values)) if weights is None else as_weights(weights, len(values))
    return _add(values, shares[:, None] / (positive("k", k) + ranks(values)))


@method("isr")
def isr(columns: Columns) -> NDArray[np.float32]:
    """Fuse by inverse square ranks: ``n sum 1 / r^2``, n the number of columns with it.

    Source: Mourao, Martins & Magalhaes 2015, "Multimodal medical information retrieval with
    unsupervised rank fusion".
    """
    values = as_columns(columns)
    return _add(values, _counts(values) / ranks(values) ** 2)


@method("log-isr")
def log_isr(columns: Columns) -> NDArray[np.float32]:
    """Fuse by inverse square ranks, boosted by ``log(n)``: zero where one column has it.

    Source: Mourao et al. 2015, see ``isr``.
    """
    return logn_isr(columns, sigma=0.0)


@method("logn-isr")
def logn_isr(columns: Columns, *, sigma: float = 0.01) -> NDArray[np.float32]:
    """Fuse by inverse square ranks, boosted by ``log(n + sigma)``.

    Source: Mourao et al. 2015, see ``isr``; sigma keeps documents of one column apart.

    Raises:
        FusionError: when sigma is negative.

    """
    if not (np.isfinite(sigma) and sigma >= 0):
        raise FusionError(f"expected sigma of at least 0, found {sigma}")
    values = as_columns(columns)
    boost = np.log(np.maximum(_counts(values), 1) + sigma)
    return _add(values, boost / ranks(values) ** 2)


@method("rbc")
def rbc(columns: Columns, *, phi: float) -> NDArray[np.float32]:
    """Fuse by rank-biased centroid: ``sum (1 - phi) phi^(r - 1)``.

    Source: Bailey, Moffat, Scholer & Thomas 2017, "Retrieval Consistency in the Presence of Query
    Variations"; phi, the chance that a reader goes on to the next rank, has no default.

    Raises:
        FusionError: when phi is not between 0 and 1.

    """
    if not 0 < phi < 1:
        raise FusionError(f"expected phi between 0 and 1, found {phi}")
    values = as_columns(columns)
    return _add(values, (1 - phi) * phi ** (ranks(values) - 1))


@method("borda")
def borda(columns: Columns) -> NDArray[np.float32]:
    """Fuse by Borda count: ``sum pool - r + 1``, pool the number of documents.

    Where a column lacks a document, it gets the mean of the points left over,
    ``(pool - n + 1) / 2`` with n documents in the column.

    Source: Aslam & Montague 2001, "Models for Metasearch".
    """
    values = as_columns(columns)
    pool = values.shape[1]
    listed = np.count_nonzero(~np.isnan(values), axis=1)[:, None]
    points = pool - ranks(values) + 1
    return _add(values, np.where(np.isnan(points), (pool - listed + 1) / 2, points))


@method("condorcet")
def condorcet(columns: Columns) -> NDArray[np.float32]:
    """Fuse by majority: duels won minus duels lost.

    A document wins a duel when more columns rank it above the other than below; a column ranks
    what it lacks below what it has. Source: Montague & Aslam 2002, "Condorcet fusion for improved
    retrieval". They sort by duels, whose outcome depends on the sorting where majorities run in
    a circle; counting duels (Copeland's rule) does not, and agrees where they do not. A drawn
    duel counts for neither; equal counts keep the first stage's order. Time is O(s n^2).
    """
    values = as_columns(columns)
    listed_ranks = np.where(np.isnan(values), np.inf, ranks(values))
    votes = np.zeros((values.shape[1], values.shape[1]), dtype=np.int16)
    for rank in listed_ranks:
        votes += rank[:, None] < rank[None, :]
        votes -= rank[:, None] > rank[None, :]
    return _add(values, np.sign(votes).sum(axis=1, dtype=np.float64)[None, :])


def _counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) in how many columns each document is."""
    return np.asarray((~np.isnan(values)).sum(axis=0, dtype=np.float64))


def _add(values: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Add up each document's parts; NaN where no column scored it."""
    return as_fused(np.where(np.isnan(values).all(axis=0), np.nan, np.nansum(parts, axis=0)))
