"""Rerank APIs of others, each as its clients know it, all on one scorer.

``/rerank``, ``/v1/rerank`` and ``/v2/rerank`` are several services' at once: a request's own fields
tell them apart. Below a dialect's name, as ``/cohere/v1/rerank``, there is no doubt.
"""

from __future__ import annotations

from fastapi import APIRouter

from pipeline.sidecar.dialects import cohere, elasticsearch, infinity, jina, shared, tei, vllm

__all__ = ["routers"]


def routers() -> list[APIRouter]:
    """Return the routers of all dialects."""
    return [
        shared.router,
        cohere.router,
        jina.router,
        tei.router,
        tei.info_router,
        tei.health_router,
        vllm.router,
        vllm.score_router,
        infinity.router,
        elasticsearch.router,
    ]
