"""Fusion methods by name, for settings and the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import FusionError
from pipeline.fusion import by_rank, by_score, combination
from pipeline.fusion.columns import Fusion
from pipeline.fusion.names import choose, summaries

__all__ = ["fusion", "fusions"]

_METHODS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "reranker": by_score.reranker,
    "weighted": by_score.weighted,
    "rrf": by_rank.rrf,
    "tm2c2": by_score.tm2c2,
    "dbsf": combination.dbsf,
    "log-odds": by_score.log_odds,
    "rescore": by_score.rescore,
    "comb-sum": combination.comb_sum,
    "comb-max": combination.comb_max,
    "comb-min": combination.comb_min,
    "comb-med": combination.comb_med,
    "comb-anz": combination.comb_anz,
    "comb-mnz": combination.comb_mnz,
    "comb-gmnz": combination.comb_gmnz,
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
