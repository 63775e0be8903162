"""Runs reranked from files: more pairs than memory holds, in shards that survive a kill."""

from __future__ import annotations

from pipeline.bulk.job import BulkJob
from pipeline.bulk.running import Progress, rerank_run

__all__ = ["BulkJob", "Progress", "rerank_run"]
