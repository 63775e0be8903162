"""All shards, one after the other or many at a time; what was done is not done again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from pipeline.bulk.job import BulkJob, manifest, score_shard
from pipeline.bulk.shards import Shard, find_shards
from pipeline.errors import BulkError

__all__ = ["Progress", "Runner", "rerank_run", "run_here"]

_MANIFEST = "job.json"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        pairs: how many there are.
        done: how many of them have their score, those of earlier runs included.
        before: how many of these an earlier run did.

    """

    pairs: int
    done: int
    before: int


Runner: TypeAlias = Callable[[BulkJob, Sequence[Shard]], Iterable[Shard]]
"""Does shards, in any order, and yields each when its result is on the disk."""


def run_here(job: BulkJob, shards: Sequence[Shard]) -> Iterator[Shard]:
    """Do shards in this process, in order."""
    for shard in shards:
        score_shard(job, shard)
        yield shard


def rerank_run(
    job: BulkJob,
    out: Path,
    *,
    size: int = 10_000,
    runner: Runner = run_here,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Rerank a run and write the result, whole or not at all.

    Each shard's result is a file in the job's folder as soon as it is done. Called again after an
    interruption, with the same arguments, it does the shards that are missing. When all are there
    they become the one file ``out``, and the folder is removed.

    Args:
        job: what is to be done.
        out: the file to write.
        size: pairs a shard at least; what an interruption can cost.
        runner: who does the shards.
        progress: told after each shard.

    Raises:
        BulkError: when the folder has shards of another job, or another process is at it.
        EvaluationError: when a line is no line of a run.
        RerankerError, RetrieverError: when a shard fails; those that are done stay done.

    """
    job.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(job.folder / _LOCK)
    try:
        with lock.acquire(timeout=0):
            shards = list(find_shards(job.run, size))
            _check_same(job, manifest(job, len(shards), size))
            state = _run(job, shards, runner, progress)
            _join([job.folder / shard.name for shard in shards], out)
    except Timeout as error:
        raise BulkError(f"{job.folder}: another process is at this job; wait for it") from error
    shutil.rmtree(job.folder, ignore_errors=True)
    return state


def _run(
    job: BulkJob, shards: list[Shard], runner: Runner, progress: Callable[[Progress], None]
) -> Progress:
    missing = [shard for shard in shards if not (job.folder / shard.name).is_file()]
    pairs = sum(shard.pairs for shard in shards)
    before = pairs - sum(shard.pairs for shard in missing)
    state = Progress(pairs, before, before)
    progress(state)
    for shard in runner(job, missing):
        state = Progress(pairs, state.done + shard.pairs, before)
        progress(state)
    return state


def _check_same(job: BulkJob, described: str) -> None:
    file = job.folder / _MANIFEST
    if not file.is_file():
        file.write_text(described, encoding="utf-8")
    elif file.read_text(encoding="utf-8") != described:
        raise BulkError(
            f"{job.folder}: expected the shards of this job, found those of another (the run, the "
            "queries, the settings or the shards' size differ); delete the folder to begin anew"
        )


def _join(parts: Sequence[Path], out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(out)
