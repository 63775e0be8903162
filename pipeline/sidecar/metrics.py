"""What Prometheus is told: one registry a process, and all processes' counters as one answer.

With several workers, each keeps its counters in files of a common folder
(``PROMETHEUS_MULTIPROC_DIR``, which :mod:`pipeline.sidecar.workers` makes), and whichever is asked
adds them up. A worker that ended keeps its counts; what it was doing is forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from pipeline.sidecar import watched
from reranker.batching import BatchingScorer

__all__ = ["Metrics"]

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
        self._watched: list[watched.Watched] = []

    def watch(self, scorers: Mapping[str, BatchingScorer]) -> None:
        """Tell of the queues and batches of scorers by name too, and of the caches behind them."""
        self._watched += watched.watch(self.registry, scorers)

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
