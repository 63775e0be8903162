"""Requests of many callers -> full batches: see ``reranker.batching.scorer``."""

from __future__ import annotations

from reranker.batching.scorer import BatchingScorer

__all__ = ["BatchingScorer"]
