"""What Prometheus is told: one registry a process, every name in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

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
        pairs: pairs of a request that was scored, by model.
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
            "twopass_pairs",
            "Pairs scored, a request",
            ("model",),
            buckets=_PAIRS,
            registry=registry,
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

    def watch(self, scorers: Mapping[str, BatchingScorer]) -> None:
        """Tell of the queues and batches of scorers by name, too; of this process alone."""
        self.registry.register(_Queues(scorers))

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format; of all workers where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class _Queues(Collector):
    """What batching scorers count, read when Prometheus asks."""

    def __init__(self, scorers: Mapping[str, BatchingScorer]) -> None:
        self._scorers = scorers

    def collect(self) -> Iterator[Metric]:
        stats = {name: scorer.stats for name, scorer in self._scorers.items()}
        for field, (kind, name, about) in _COUNTED.items():
            family = kind(f"twopass_{name}", about, labels=("model",))
            for model, counted in stats.items():
                family.add_metric((model,), getattr(counted, field))
            yield family


# A field of BatchingStats -> how Prometheus is told of it.
_COUNTED: dict[str, tuple[type[CounterMetricFamily | GaugeMetricFamily], str, str]] = {
    "batches": (CounterMetricFamily, "batches", "Batches scored"),
    "pairs": (
        CounterMetricFamily,
        "batched_pairs",
        "Pairs in them; divided by batches, how full these are",
    ),
    "refused": (CounterMetricFamily, "queue_refused", "Requests that found the queue full"),
    "waiting_requests": (GaugeMetricFamily, "queue_requests", "Requests that wait to be scored"),
    "waiting_pairs": (GaugeMetricFamily, "queue_pairs", "Pairs that wait to be scored"),
}
