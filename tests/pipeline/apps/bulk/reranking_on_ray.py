"""Reranks a run on a Ray cluster of two workers, one of which dies in the middle of a shard.

python reranking_on_ray.py RUN TEXTS QUERIES OUT SHARD MARK
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import ray
from reranking import Lengths

from twopass.pipeline.apps.bulk import BulkJob, rerank_run
from twopass.pipeline.apps.bulk.on_ray import run_on_ray
from twopass.pipeline.apps.settings import Settings

MARK = Path(sys.argv[6])


def work(job, shard):
    """Do a shard; the first worker to come to the third one dies of it."""
    from twopass.pipeline.apps import assembly
    from twopass.pipeline.apps.bulk.job import score_shard

    assembly.build_scorer = lambda _: Lengths(10**9)
    if shard.number == 2 and not MARK.exists():
        MARK.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return score_shard(job, shard)


def start() -> None:
    """Start a cluster; a busy machine may need more than the 30 seconds that Ray waits."""
    for tries_left in (2, 1, 0):
        try:
            ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20)
            return
        except Exception as error:  # Ray raises no other
            ray.shutdown()
            if not tries_left or "timed out" not in str(error):
                raise


def main(run: str, texts: str, queries: str, out: str, shard: str, _: str) -> None:
    settings = Settings(fusion={"method": "reranker"})
    job = BulkJob(Path(run), Path(texts), Path(queries), Path(f"{out}.parts"), settings)
    start()
    rerank_run(job, Path(out), size=int(shard), runner=run_on_ray(work=work))
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
