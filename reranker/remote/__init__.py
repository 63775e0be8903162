"""Scores from a service over HTTP: see ``reranker.remote.scorer``."""

from __future__ import annotations

from reranker.remote.dialects import DIALECTS, DialectName
from reranker.remote.scorer import RemoteScorer

__all__ = ["DIALECTS", "DialectName", "RemoteScorer"]
