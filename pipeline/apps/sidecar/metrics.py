"""Prometheus metrics of requests, stages and scorers.

There is one registry per process. With several workers, each keeps its counters in files of a
common folder (``PROMETHEUS_MULTIPROC_DIR``, which :mod:`twopass.pipeline.apps.sidecar.server`
makes), and the worker that gets the request adds them up. The counts of a worker that has ended
remain; its gauges do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from twopass.reranker.scorers.batching import BatchingScorer
from twopass.reranker.scorers.cache import CachingScorer

__all__ = [
    "Metrics",
    "ScorerMetrics",
    "register_scorers",
]


_Numbers = Mapping[str, float]

_COUNTERS = {
    "batches": "Batches scored",
    "batched_pairs": "Pairs in them; divided by batches, how full these are",
    "queue_refused": "Requests refused by the queue",
    "cache_hits": "Pairs found in the cache: in memory, on disk, or being computed already",
    "cache_misses": "Pairs not found in the cache",
}
_GAUGES = {
    "queue_requests": "Requests that wait to be scored",
    "queue_pairs": "Pairs that wait to be scored",
    "cache_entries": "Scores in the cache's memory",
    "cache_bytes": "Estimated memory of these scores",
}


class ScorerMetrics:
    """Counters and gauges that follow what a model's scorers count.

    Args:
        counters: of all models, by name.
        gauges: likewise; with several workers, their sum is reported.
        model: the model's name, their label.
        read: returns all current numbers by name.

    """

    def __init__(
        self,
        counters: Mapping[str, Counter],
        gauges: Mapping[str, Gauge],
        model: str,
        read: Callable[[], _Numbers],
    ) -> None:
        self._counters = {name: each.labels(model) for name, each in counters.items()}
        self._gauges = {name: each.labels(model) for name, each in gauges.items()}
        self._read = read
        self._counted = dict.fromkeys(counters, 0.0)
        self._lock = Lock()

    def refresh(self) -> None:
        """Bring counters and gauges up to date."""
        with self._lock:
            now = self._read()
            for name, counter in self._counters.items():
                counter.inc(max(0.0, now[name] - self._counted[name]))
                self._counted[name] = now[name]
            for name, gauge in self._gauges.items():
                gauge.set(now[name])


def register_scorers(
    registry: CollectorRegistry, scorers: Mapping[str, BatchingScorer]
) -> list[ScorerMetrics]:
    """Register metrics of queues, batches and caches, by the model's name."""
    label = ("model",)
    counters = {
        name: Counter(f"twopass_{name}", about, label, registry=registry)
        for name, about in _COUNTERS.items()
    }
    gauges = {
        name: Gauge(f"twopass_{name}", about, label, registry=registry, multiprocess_mode="livesum")
        for name, about in _GAUGES.items()
    }
    return [
        ScorerMetrics(counters, gauges, model, partial(_numbers, scorer))
        for model, scorer in scorers.items()
    ]


def _numbers(scorer: BatchingScorer) -> _Numbers:
    """Return a scorer's numbers; its caches are added up, as each scorer of a chain has one."""
    stats = scorer.stats
    caches = [each.stats for each in scorer.walk() if isinstance(each, CachingScorer)]
    return {
        "batches": stats.batches,
        "batched_pairs": stats.pairs,
        "queue_refused": stats.refused,
        "queue_requests": stats.waiting_requests,
        "queue_pairs": stats.waiting_pairs,
        "cache_hits": sum(each.memory + each.disk + each.shared for each in caches),
        "cache_misses": sum(each.computed for each in caches),
        "cache_entries": sum(each.entries for each in caches),
        "cache_bytes": sum(each.bytes for each in caches),
    }


_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the client library's, which reads it on import
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PAIRS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """The counters of a process.

    Attributes:
        together: whether the metrics of other workers are reported too.
        requests: seconds a request took, by route, method and status.
        stages: seconds a stage took, by stage: retrieval, rerank, fusion.
        pairs: pairs of a scored request, by model.
        degradations: incomplete answers, by stage and outcome.
        proxied: searches of the proxy, by status and reason.
        refused: requests that were refused before any work, by kind of problem.
        active: requests in progress.

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
            "Incomplete answers",
            ("where", "outcome"),
            registry=registry,
        )
        self.proxied = Counter(
            "twopass_proxy_searches",
            "Searches sent to the proxy",
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
            "Requests in progress",
            registry=registry,
            multiprocess_mode="livesum",
        )

        self.together = _FOLDER in os.environ
        self._scorers: list[ScorerMetrics] = []

    def watch_scorers(self, scorers: Mapping[str, BatchingScorer]) -> None:
        """Report the queues, batches and caches of these scorers, by name."""
        self._scorers += register_scorers(self.registry, scorers)

    def refresh(self) -> None:
        """Bring the scorers' metrics up to date, also for other workers to report."""
        for each in self._scorers:
            each.refresh()

    def text(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        self.refresh()
        if not self.together:
            return generate_latest(self.registry)
        _remove_dead_workers(Path(os.environ[_FOLDER]))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _remove_dead_workers(folder: Path) -> None:
    """Remove the gauges of workers that have ended; their counters remain."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:  # it is alive
            continue
