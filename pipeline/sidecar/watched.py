"""Numbers that scorers count themselves, told to Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.sidecar.wrapped import walk
from reranker.batching import BatchingScorer
from reranker.cache import CachingScorer

__all__ = ["Watched", "watch"]

_Numbers = Mapping[str, float]

_COUNTERS = {
    "batches": "Batches scored",
    "batched_pairs": "Pairs in them; divided by batches, how full these are",
    "queue_refused": "Requests that found the queue full",
    "cache_hits": "Pairs whose score was there: in memory, on disk, or just being computed",
    "cache_misses": "Pairs that were looked up in the cache and had to be scored",
}
_GAUGES = {
    "queue_requests": "Requests that wait to be scored",
    "queue_pairs": "Pairs that wait to be scored",
    "cache_entries": "Scores that the cache has in memory",
    "cache_bytes": "About how much memory they take",
}


class Watched:
    """Counters and gauges that follow what a model's scorers count.

    Args:
        counters: of all models, by name.
        gauges: the same; of several workers, their sum is told.
        model: whose they are.
        read: returns all numbers by name.

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
        self._told = dict.fromkeys(counters, 0.0)
        self._lock = Lock()

    def refresh(self) -> None:
        """Read the numbers."""
        with self._lock:
            now = self._read()
            for name, counter in self._counters.items():
                counter.inc(max(0.0, now[name] - self._told[name]))
                self._told[name] = now[name]
            for name, gauge in self._gauges.items():
                gauge.set(now[name])


def watch(registry: CollectorRegistry, scorers: Mapping[str, BatchingScorer]) -> list[Watched]:
    """Watch what waits, how full batches are, and the caches, by the model's name."""
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
        Watched(counters, gauges, model, partial(_numbers, scorer))
        for model, scorer in scorers.items()
    ]


def _numbers(scorer: BatchingScorer) -> _Numbers:
    """Read a scorer's numbers; those of its caches together, since each link of a chain has one."""
    stats = scorer.stats
    caches = [each.stats for each in walk(scorer) if isinstance(each, CachingScorer)]
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
