"""Measures, runs and comparisons: how good a search is, and what each stage adds."""

from __future__ import annotations

from twopass.pipeline.evaluation.cases import Case, cases
from twopass.pipeline.evaluation.collections import Collection, open_collection
from twopass.pipeline.evaluation.evaluate import DepthCurve, by_depth, evaluate, evaluate_runs
from twopass.pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure, parse_measures
from twopass.pipeline.evaluation.pool import Pool, collect, missed_documents
from twopass.pipeline.evaluation.results import (
    Difference,
    Evaluation,
    System,
    holm,
    randomization_test,
    t_test,
)
from twopass.pipeline.evaluation.runs import (
    Entries,
    ReplayRetriever,
    Run,
    entries,
    fuse_runs,
    read_run,
    write_run,
)
from twopass.pipeline.evaluation.tuning import (
    Choice,
    FusionTuning,
    ScoringTuning,
    choose,
    fusion_grid,
    tune_fusion,
    tune_scoring,
)

__all__ = [
    "DEFAULT_MEASURES",
    "Case",
    "Choice",
    "Collection",
    "DepthCurve",
    "Difference",
    "Entries",
    "Evaluation",
    "FusionTuning",
    "Pool",
    "Qrels",
    "ReplayRetriever",
    "Run",
    "ScoringTuning",
    "System",
    "by_depth",
    "cases",
    "choose",
    "collect",
    "entries",
    "evaluate",
    "evaluate_runs",
    "fuse_runs",
    "fusion_grid",
    "holm",
    "measure",
    "missed_documents",
    "open_collection",
    "parse_measures",
    "randomization_test",
    "read_run",
    "t_test",
    "tune_fusion",
    "tune_scoring",
    "write_run",
]
