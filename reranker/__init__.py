"""Scores: (query, passage) -> float.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.reranker.contract.errors import RerankerError
    from twopass.reranker.contract.scorer import PairScorer, Scorer, Wrapper
    from twopass.reranker.contract.scores import Scores
    from twopass.reranker.scorers.batching import BatchingScorer
    from twopass.reranker.scorers.cache import CachingScorer
    from twopass.reranker.scorers.calibration import CalibratedScorer, Calibration
    from twopass.reranker.scorers.cascade import Cascade
    from twopass.reranker.scorers.cross_encoder import CrossEncoder
    from twopass.reranker.scorers.encoders import BiEncoderScorer
    from twopass.reranker.scorers.fallback import FallbackScorer
    from twopass.reranker.scorers.passages import PassageScorer, Reading
    from twopass.reranker.scorers.remote.scorer import RemoteScorer

_HOME = {
    "BatchingScorer": "twopass.reranker.scorers.batching",
    "BiEncoderScorer": "twopass.reranker.scorers.encoders",
    "CachingScorer": "twopass.reranker.scorers.cache",
    "CalibratedScorer": "twopass.reranker.scorers.calibration",
    "Calibration": "twopass.reranker.scorers.calibration",
    "Cascade": "twopass.reranker.scorers.cascade",
    "CrossEncoder": "twopass.reranker.scorers.cross_encoder",
    "FallbackScorer": "twopass.reranker.scorers.fallback",
    "PairScorer": "twopass.reranker.contract.scorer",
    "PassageScorer": "twopass.reranker.scorers.passages",
    "Reading": "twopass.reranker.scorers.passages",
    "RemoteScorer": "twopass.reranker.scorers.remote.scorer",
    "RerankerError": "twopass.reranker.contract.errors",
    "Scorer": "twopass.reranker.contract.scorer",
    "Scores": "twopass.reranker.contract.scores",
    "Wrapper": "twopass.reranker.contract.scorer",
}

__all__ = [
    "BatchingScorer",
    "BiEncoderScorer",
    "CachingScorer",
    "CalibratedScorer",
    "Calibration",
    "Cascade",
    "CrossEncoder",
    "FallbackScorer",
    "PairScorer",
    "PassageScorer",
    "Reading",
    "RemoteScorer",
    "RerankerError",
    "Scorer",
    "Scores",
    "Wrapper",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
