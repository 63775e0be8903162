"""Runs reranked from files: more pairs than memory holds, in shards that survive a kill."""

from __future__ import annotations

from twopass.pipeline.apps.bulk.job import BulkJob, Progress, rerank_run

__all__ = ["BulkJob", "Progress", "rerank_run"]
