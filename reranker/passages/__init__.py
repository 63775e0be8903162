"""Long documents: windows, the choice of those worth reading, one score, and where it is from."""

from __future__ import annotations

from reranker.passages.aggregation import Aggregation
from reranker.passages.reading import Reading
from reranker.passages.scorer import PassageScorer

__all__ = ["Aggregation", "PassageScorer", "Reading"]
