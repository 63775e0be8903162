"""Encoders as scorers: query and passage are read apart, and compared by their embeddings."""

from __future__ import annotations

from twopass.reranker.scorers.encoders.scorer import BiEncoderScorer

__all__ = ["BiEncoderScorer"]
