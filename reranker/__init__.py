"""Scores: (query, passage) -> float.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.base import PairScorer, RerankerError
    from reranker.cross_encoder import CrossEncoder

_HOME = {
    "CrossEncoder": "reranker.cross_encoder",
    "PairScorer": "reranker.base",
    "RerankerError": "reranker.base",
}

__all__ = [
    "CrossEncoder",
    "PairScorer",
    "RerankerError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
