"""Measures, runs and comparisons: how good a search is, and what each stage adds."""

from __future__ import annotations

from pipeline.evaluation.evaluate import evaluate, evaluate_runs
from pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure, parse_measures
from pipeline.evaluation.results import Difference, Evaluation, System
from pipeline.evaluation.runs import Entries, Run, entries, read_run, write_run
from pipeline.evaluation.significance import randomization_test

__all__ = [
    "DEFAULT_MEASURES",
    "Difference",
    "Entries",
    "Evaluation",
    "Qrels",
    "Run",
    "System",
    "entries",
    "evaluate",
    "evaluate_runs",
    "measure",
    "parse_measures",
    "randomization_test",
    "read_run",
    "write_run",
]
