"""Scores: (query, passage) -> float.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.base import DetailedScorer, PairScorer, RerankerError, Scores
    from reranker.batching import BatchingScorer
    from reranker.bi_encoder import BiEncoderScorer
    from reranker.cache import CachingScorer
    from reranker.calibration import CalibratedScorer, Calibration
    from reranker.cascade import Cascade
    from reranker.cross_encoder import CrossEncoder
    from reranker.fallback import FallbackScorer
    from reranker.passages import PassageScorer, Reading
    from reranker.remote.scorer import RemoteScorer

_HOME = {
    "BatchingScorer": "reranker.batching",
    "BiEncoderScorer": "reranker.bi_encoder",
    "CachingScorer": "reranker.cache",
    "CalibratedScorer": "reranker.calibration",
    "Calibration": "reranker.calibration",
    "Cascade": "reranker.cascade",
    "CrossEncoder": "reranker.cross_encoder",
    "DetailedScorer": "reranker.base",
    "FallbackScorer": "reranker.fallback",
    "PairScorer": "reranker.base",
    "PassageScorer": "reranker.passages",
    "Reading": "reranker.passages",
    "RemoteScorer": "reranker.remote.scorer",
    "RerankerError": "reranker.base",
    "Scores": "reranker.base",
}

__all__ = [
    "BatchingScorer",
    "BiEncoderScorer",
    "CachingScorer",
    "CalibratedScorer",
    "Calibration",
    "Cascade",
    "CrossEncoder",
    "DetailedScorer",
    "FallbackScorer",
    "PairScorer",
    "PassageScorer",
    "Reading",
    "RemoteScorer",
    "RerankerError",
    "Scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
