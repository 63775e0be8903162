"""Measures, runs and comparisons: how good a search is, and what each stage adds."""

from __future__ import annotations

from pipeline.evaluation.cases import Case, cases
from pipeline.evaluation.collections import Collection, open_collection
from pipeline.evaluation.depth import DepthCurve, by_depth
from pipeline.evaluation.evaluate import evaluate, evaluate_runs
from pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure, parse_measures
from pipeline.evaluation.missed import missed_texts
from pipeline.evaluation.pool import Pool, collect
from pipeline.evaluation.replay import Replayed, fuse_runs
from pipeline.evaluation.results import Difference, Evaluation, System
from pipeline.evaluation.runs import Entries, Run, entries, read_run, write_run
from pipeline.evaluation.significance import holm, randomization_test, t_test
from pipeline.evaluation.tuning import (
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
    "Replayed",
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
    "missed_texts",
    "open_collection",
    "parse_measures",
    "randomization_test",
    "read_run",
    "t_test",
    "tune_fusion",
    "tune_scoring",
    "write_run",
]
