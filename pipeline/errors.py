"""The tree of this package's errors.

::

    PipelineError
    ├── SettingsError      a setting that is unknown or has an unusable value
    ├── SearchError        a search that cannot be run as it is
    ├── ScoringError       a second stage whose scores cannot be used
    ├── FusionError        score columns that cannot be fused
    ├── BulkError          a run that cannot be reranked from files
    ├── EvaluationError    qrels, runs or measures that cannot be used
    ├── ExportError        a model whose files would rank worse than they may
    ├── TrainingDataError  data that cannot be trained on
    └── ServingError       a service that cannot be started
"""

from __future__ import annotations

__all__ = [
    "BulkError",
    "EvaluationError",
    "ExportError",
    "FusionError",
    "PipelineError",
    "ScoringError",
    "SearchError",
    "ServingError",
    "SettingsError",
    "TrainingDataError",
]


class PipelineError(Exception):
    """Anything that this package reports; its message says what to do next."""


class SettingsError(PipelineError):
    """A setting that is unknown or whose value cannot be used."""


class SearchError(PipelineError):
    """A search that cannot be run as it is: a wrong k, depth, deadline or query."""


class ScoringError(PipelineError):
    """A second stage whose scores cannot be used: too few, too many, or not numbers."""


class FusionError(PipelineError):
    """Score columns that cannot be fused."""


class EvaluationError(PipelineError):
    """Qrels, runs or measures that cannot be used."""


class BulkError(PipelineError):
    """A run that cannot be reranked from files."""


class ExportError(PipelineError):
    """A model that is not written: its file would rank worse than it may, or is there already."""


class TrainingDataError(PipelineError):
    """Data that cannot be trained on: nothing judged, or the same on both sides of a split."""


class ServingError(PipelineError):
    """A service that cannot be started."""
