"""From score columns to one score: named functions, and the same by name.

A fusion takes columns (s, n), documents in the first stage's order, NaN where a scorer did not
score, and returns (n,) float32. Columns may be any number: the first stage first, the final scorer
last, further opinions (``Scores.columns``) between them in their order. Two weights are those of
the first and the last. The cases in which libraries differ are decided here once, and tested:

Ties
    A fusion only scores; the pipeline sorts, stably, so that equal scores keep the first stage's
    order. Rank methods give equal scores successive ranks in that same order.
Constant or one-element column
    Each normaliser says what it gives: min-max and max 1 (a lone hit is its list's best), sum
    1/n, z-score 0, three-sigma 0.5, l2 1/sqrt(n); never 0/0.
A document that a column lacks (NaN)
    Normalisers leave it out. Weighted sums (``weighted``, ``tm2c2``, ``log_odds``) put it below
    all that have every part, in the first stage's order, unless ``missing="zero"``. The methods
    made for lists that overlap in part (RRF, Comb*, DBSF, ISR, RBC) add nothing for it; Borda and
    Condorcet have rules of their own; ``rescore`` does as Elasticsearch does.
A document that the last column lacks
    The pipeline does not ask the fusion about it, but places it below all that the final scorer
    scored: after a deadline, some sums would have a part more than others.
NaN in the result
    "No score": the document stays below all others, in the first stage's order.
Infinity, or a score that a normaliser's formula does not hold for
    A ``FusionError``, never a silent order.
Precision
    Sums are formed in float64 and rounded once to float32, which keeps their order.
"""

from __future__ import annotations

from pipeline.fusion.by_rank import borda, condorcet, isr, log_isr, logn_isr, rbc, rrf
from pipeline.fusion.by_score import log_odds, reranker, rescore, tm2c2, weighted
from pipeline.fusion.columns import Fusion
from pipeline.fusion.combination import (
    comb_anz,
    comb_gmnz,
    comb_max,
    comb_med,
    comb_min,
    comb_mnz,
    comb_sum,
    dbsf,
)
from pipeline.fusion.formulas import Normalizer
from pipeline.fusion.normalization import Normalization, normalizer, normalizers
from pipeline.fusion.registry import fusion, fusions

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
