"""Fusion methods: how the scores of several stages become one, by function or by name.

The methods that most programs use are functions here; all have a name, for settings and the
command line: ``fusions()`` lists them. ``base`` shows what a new one must define.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion.base import METHODS, Columns, Fusion, by_number, method
from twopass.pipeline.fusion.by_rank import rrf
from twopass.pipeline.fusion.by_score import dbsf, reranker, tm2c2, weighted
from twopass.pipeline.fusion.normalization import Normalization, Normalizer, normalizer, normalizers

__all__ = [
    "Columns",
    "Fusion",
    "Normalization",
    "Normalizer",
    "by_number",
    "dbsf",
    "fusion",
    "fusions",
    "method",
    "normalizer",
    "normalizers",
    "reranker",
    "rrf",
    "tm2c2",
    "weighted",
]


def fusion(name: str, **parameters: Any) -> Fusion:
    """Return the fusion method of that name, with its parameters.

    A trial on no documents finds a parameter that cannot be used now, not at the first query::

        fusion("weighted", weights=[0.3, 0.7], normalizer="min-max")

    Raises:
        FusionError: when the name or a parameter is unknown, missing or out of bounds.

    """
    chosen = METHODS.choose(name, parameters)
    try:
        columns = len(parameters.get("weights") or (0, 1))
        chosen(np.empty((columns, 0), dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise FusionError(f"fusion method {name!r} cannot use {parameters}: {error}") from error
    return chosen


def fusions() -> dict[str, str]:
    """Return the names of all fusion methods, each with a line on what it is."""
    return METHODS.summaries()
