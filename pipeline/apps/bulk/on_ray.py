"""A runner that processes shards on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from twopass.pipeline.apps.bulk.inputs import Shard
from twopass.pipeline.apps.bulk.job import BulkJob, Runner, score_shard
from twopass.pipeline.errors import BulkError

__all__ = ["run_on_ray"]

Work: TypeAlias = Callable[[BulkJob, Shard], int]

_TRIES = 3


def run_on_ray(
    address: str | None = None, *, cpus: float = 1.0, gpus: float = 0.0, work: Work = score_shard
) -> Runner:
    """Return a runner that gives each shard to a worker; a lost worker's shard is repeated.

    All machines must see the run, the queries, the texts and the job's folder under the same
    paths, and have this package installed.

    Args:
        address: of an existing cluster (``auto``, ``ray://host:10001``); None starts one here.
        cpus: per worker.
        gpus: per worker.
        work: what a worker does with a shard.

    Raises:
        BulkError: when Ray is not installed or cannot be reached.

    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # for a cluster started here
    try:
        import ray
    except ImportError as error:
        raise BulkError("expected Ray to be installed: pip install 'twopass[ray]'") from error

    def run(job: BulkJob, shards: Sequence[Shard]) -> Iterator[Shard]:
        own = not ray.is_initialized()
        if own:
            _connect(ray, address)
        try:
            remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_TRIES)(work)
            yield from _run(ray, remote, job, shards, cpus)
        finally:
            if own:
                ray.shutdown()

    return run


def _connect(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    except Exception as error:  # Ray raises even this itself, when a node does not start
        raise BulkError(f"expected a Ray cluster at {address!r}: {error}") from error


def _run(
    ray: Any, work: Any, job: BulkJob, shards: Sequence[Shard], cpus: float
) -> Iterator[Shard]:
    """Keep twice as many shards waiting as there are workers, so that none runs dry."""
    most = max(2, 2 * int(ray.cluster_resources().get("CPU", 1) / max(cpus, 1e-3)))
    waiting: dict[Any, Shard] = {}
    left = iter(shards)
    while True:
        for shard in left:
            waiting[work.remote(job, shard)] = shard
            if len(waiting) >= most:
                break
        if not waiting:
            return
        [done], _ = ray.wait(list(waiting))
        shard = waiting.pop(done)
        _result(ray, done, shard)
        yield shard


def _result(ray: Any, done: Any, shard: Shard) -> None:
    from ray.exceptions import RayError, RayTaskError

    try:
        ray.get(done)
    except RayTaskError as error:
        failed: Any = error
        raise failed.as_instanceof_cause() from error
    except RayError as error:
        raise BulkError(f"{shard.name} failed {1 + _TRIES} times on Ray: {error}") from error
