"""What Prometheus is told: one registry a process, every name in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from reranker.batching import BatchingScorer

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PAIRS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """The counters of a process.

    Attributes:
        requests: seconds a request took, by route, method and status.
        stages: seconds a stage took, by stage: retrieval, rerank, fusion.
        pairs: pairs of a request that was scored.
        degradations: answers that are less than was asked, by where and why.
        proxied: searches of the proxy, by what became of them and why.
        refused: requests that were refused before any work, by kind of problem.
        active: requests that are being answered.

    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "twopass_request_seconds",
            "Time to answer a request",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "twopass_stage_seconds",
            "Time a stage took, a request",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.pairs = Histogram(
            "twopass_pairs", "Pairs scored, a request", buckets=_PAIRS, registry=registry
        )
        self.degradations = Counter(
            "twopass_degradations",
            "Answers that are less than was asked",
            ("where", "outcome"),
            registry=registry,
        )
        self.proxied = Counter(
            "twopass_proxy_searches",
            "Searches that came to the proxy",
            ("status", "code"),
            registry=registry,
        )
        self.refused = Counter(
            "twopass_refused",
            "Requests refused or failed, by problem",
            ("kind",),
            registry=registry,
        )
        self.active = Gauge(
            "twopass_active_requests",
            "Requests being answered",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def watch(self, scorer: BatchingScorer) -> None:
        """Tell of a scorer's queue and batches, too; of this process alone."""
        self.registry.register(_Queue(scorer))

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format; of all workers where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class _Queue(Collector):
    """What a batching scorer counts, read when Prometheus asks."""

    def __init__(self, scorer: BatchingScorer) -> None:
        self._scorer = scorer

    def collect(self) -> Iterator[Metric]:
        stats = self._scorer.stats
        counted = {
            "batches": ("Batches scored", stats.batches),
            "batched_pairs": ("Pairs in them; divided by batches, how full these are", stats.pairs),
            "queue_refused": ("Requests that found the queue full", stats.refused),
        }
        for name, (about, value) in counted.items():
            yield CounterMetricFamily(f"twopass_{name}", about, value=value)
        waiting = {
            "queue_requests": ("Requests that wait to be scored", stats.waiting_requests),
            "queue_pairs": ("Pairs that wait to be scored", stats.waiting_pairs),
        }
        for name, (about, value) in waiting.items():
            yield GaugeMetricFamily(f"twopass_{name}", about, value=value)
