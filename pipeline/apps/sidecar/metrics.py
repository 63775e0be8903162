"""Prometheus metrics.

One registry per process, the counters of scorers, all processes in one answer.

With several workers, each keeps its counters in files of a common folder
(``PROMETHEUS_MULTIPROC_DIR``, which :mod:`twopass.pipeline.apps.sidecar.server` makes), and
whichever is asked
adds them up. A worker that ended keeps its counts; what it was doing is forgotten.
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
    "Watched",
    "watch",
]


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
        together: whether there are other workers, of whom is told too.
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

        self.together = _FOLDER in os.environ
        self._watched: list[Watched] = []

    def watch(self, scorers: Mapping[str, BatchingScorer]) -> None:
        """Tell of the queues and batches of scorers by name too, and of the caches behind them."""
        self._watched += watch(self.registry, scorers)

    def refresh(self) -> None:
        """Read what scorers count; where there are several workers, for the others to tell."""
        for each in self._watched:
            each.refresh()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format; of all workers where there are several."""
        self.refresh()
        if not self.together:
            return generate_latest(self.registry)
        _forget_the_dead(Path(os.environ[_FOLDER]))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _forget_the_dead(folder: Path) -> None:
    """Remove what workers that are no more were doing; what they have counted stays."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:  # it is there
            continue
