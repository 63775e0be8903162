"""Reranking of run files of any size, in shards, so that an interrupted job can continue."""

from __future__ import annotations

from twopass.pipeline.apps.bulk.job import BulkJob, Progress, rerank_run

__all__ = ["BulkJob", "Progress", "rerank_run"]
