"""Requests of many callers -> full batches: see ``twopass.reranker.scorers.batching.scorer``."""

from __future__ import annotations

from twopass.reranker.scorers.batching.scorer import BatchingScorer

__all__ = ["BatchingScorer"]
