"""Scores: (query, passage) -> float.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.base import DetailedScorer, PairScorer, RerankerError, Scores
    from reranker.bi_encoder import BiEncoderScorer
    from reranker.calibration import CalibratedScorer, Calibration
    from reranker.cascade import Cascade
    from reranker.cross_encoder import CrossEncoder
    from reranker.passages import PassageScorer, Reading

_HOME = {
    "BiEncoderScorer": "reranker.bi_encoder",
    "CalibratedScorer": "reranker.calibration",
    "Calibration": "reranker.calibration",
    "Cascade": "reranker.cascade",
    "CrossEncoder": "reranker.cross_encoder",
    "DetailedScorer": "reranker.base",
    "PairScorer": "reranker.base",
    "PassageScorer": "reranker.passages",
    "Reading": "reranker.passages",
    "RerankerError": "reranker.base",
    "Scores": "reranker.base",
}

__all__ = [
    "BiEncoderScorer",
    "CalibratedScorer",
    "Calibration",
    "Cascade",
    "CrossEncoder",
    "DetailedScorer",
    "PairScorer",
    "PassageScorer",
    "Reading",
    "RerankerError",
    "Scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
