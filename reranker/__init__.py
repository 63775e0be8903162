"""Scores: (query, passage) -> float.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.base import DetailedScorer, PairScorer, RerankerError, Scores
    from reranker.cross_encoder import CrossEncoder

_HOME = {
    "CrossEncoder": "reranker.cross_encoder",
    "DetailedScorer": "reranker.base",
    "PairScorer": "reranker.base",
    "RerankerError": "reranker.base",
    "Scores": "reranker.base",
}

__all__ = [
    "CrossEncoder",
    "DetailedScorer",
    "PairScorer",
    "RerankerError",
    "Scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
