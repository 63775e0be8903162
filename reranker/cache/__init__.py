"""Scores that are computed once: see ``reranker.cache.scorer``."""

from __future__ import annotations

from reranker.cache.scorer import CachingScorer

__all__ = ["CachingScorer"]
