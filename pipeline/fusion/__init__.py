"""Fusion methods by name, for settings and the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion import by_rank, by_score
from twopass.pipeline.fusion.base import Fusion, choose, summaries
from twopass.pipeline.fusion.by_rank import borda, condorcet, isr, log_isr, logn_isr, rbc, rrf
from twopass.pipeline.fusion.by_score import (
    comb_anz,
    comb_gmnz,
    comb_max,
    comb_med,
    comb_min,
    comb_mnz,
    comb_sum,
    dbsf,
    log_odds,
    reranker,
    rescore,
    tm2c2,
    weighted,
)
from twopass.pipeline.fusion.normalization import Normalization, Normalizer, normalizer, normalizers

__all__ = [
    "Fusion",
    "Normalization",
    "Normalizer",
    "borda",
    "comb_anz",
    "comb_gmnz",
    "comb_max",
    "comb_med",
    "comb_min",
    "comb_mnz",
    "comb_sum",
    "condorcet",
    "dbsf",
    "fusion",
    "fusions",
    "isr",
    "log_isr",
    "log_odds",
    "logn_isr",
    "normalizer",
    "normalizers",
    "rbc",
    "reranker",
    "rescore",
    "rrf",
    "tm2c2",
    "weighted",
]


_METHODS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "reranker": by_score.reranker,
    "weighted": by_score.weighted,
    "rrf": by_rank.rrf,
    "tm2c2": by_score.tm2c2,
    "dbsf": by_score.dbsf,
    "log-odds": by_score.log_odds,
    "rescore": by_score.rescore,
    "comb-sum": by_score.comb_sum,
    "comb-max": by_score.comb_max,
    "comb-min": by_score.comb_min,
    "comb-med": by_score.comb_med,
    "comb-anz": by_score.comb_anz,
    "comb-mnz": by_score.comb_mnz,
    "comb-gmnz": by_score.comb_gmnz,
    "isr": by_rank.isr,
    "log-isr": by_rank.log_isr,
    "logn-isr": by_rank.logn_isr,
    "rbc": by_rank.rbc,
    "borda": by_rank.borda,
    "condorcet": by_rank.condorcet,
}


def fusion(name: str, **parameters: Any) -> Fusion:
    """Return the fusion method of that name, with its parameters.

    A trial on no documents finds a parameter that cannot be used now, not at the first query::

        fusion("weighted", weights=[0.3, 0.7], normalizer="min-max")

    Raises:
        FusionError: when the name or a parameter is unknown, missing or out of bounds.

    """
    chosen = choose("fusion method", _METHODS, name, parameters)
    try:
        columns = len(parameters.get("weights") or (0, 1))
        chosen(np.empty((columns, 0), dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise FusionError(f"fusion method {name!r} cannot use {parameters}: {error}") from error
    return chosen


def fusions() -> dict[str, str]:
    """Return the names of all fusion methods, each with a line on what it is."""
    return summaries(_METHODS)
