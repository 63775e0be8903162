"""What became of searches: in the answer, and in the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from pipeline.sidecar.metrics import Metrics
from pipeline.sidecar.proxy.obstacles import Passed
from pipeline.sidecar.proxy.pages import page_of
from pipeline.sidecar.proxy.rescoring import Rescored
from pipeline.sidecar.proxy.window import Window

__all__ = ["Outcomes", "finished", "shards_failed"]


class Outcomes:
    """Counts what became of searches."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def passed(self, why: Passed) -> None:
        """Count a search that went on as it came."""
        self._metrics.proxied.labels("passed", why.code).inc()

    def reranked(self, rescored: Rescored, retrieval: float) -> None:
        """Count a search that was to be reranked; ``retrieval`` in seconds."""
        self._metrics.proxied.labels(rescored.status, rescored.code).inc()
        self._metrics.stages.labels("retrieval").observe(retrieval)
        self._metrics.stages.labels("rerank").observe(rescored.seconds)
        if rescored.status in ("partial", "failed"):
            self._metrics.degradations.labels("proxy", rescored.status).inc()


def shards_failed(answer: Mapping[str, Any]) -> bool:
    """Tell whether shards refused the search: a window may be too large for one index of many.

    Shards that are away, or too busy, would be so for the caller's own search, too.
    """
    failures = answer.get("_shards", {}).get("failures", [])
    reasons = [failure.get("reason", {}) for failure in failures]
    kinds = {each.get("type") for each in reasons}
    kinds |= {each.get("caused_by", {}).get("type") for each in reasons}
    return bool(kinds & {"illegal_argument_exception", "search_exception"})


def finished(
    answer: Mapping[str, Any],
    window: Window,
    rescored: Rescored,
    retrieval: float,
    annotate: bool,
) -> dict[str, Any]:
    """Return the answer to a caller's search, with what reranking took.

    ``took`` is Elasticsearch's and that of reranking, in milliseconds.

    Args:
        answer: Elasticsearch's, with the window's hits.
        window: what was asked for.
        rescored: how reranking went.
        retrieval: seconds until Elasticsearch's answer was there.
        annotate: whether to add ``_twopass``.

    """
    started = perf_counter()
    page = page_of(answer, window, rescored)
    paging = perf_counter() - started
    took = round((rescored.seconds + paging) * 1000)
    if "took" in page:
        page["took"] += took
    if annotate:
        page["_twopass"] = {
            "status": rescored.status,
            "code": rescored.code,
            "reason": rescored.reason,
            "candidates": rescored.candidates,
            "scored": rescored.scored,
            "by": rescored.by,
            "timings_ms": {
                "elasticsearch": round(retrieval * 1000, 3),
                "rerank": round(rescored.seconds * 1000, 3),
                "page": round(paging * 1000, 3),
            },
        }
    return page
