"""A bulk job: rerank every shard of a run, here or in parallel, and join the results."""

from __future__ import annotations

import json
import os
import pickle
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from filelock import FileLock, Timeout

from twopass.pipeline.apps.assembly import build_fusion, build_scorer
from twopass.pipeline.apps.bulk.inputs import Shard, Texts, find_shards, open_texts
from twopass.pipeline.candidates import Candidates, fuse, score_groups, status_of
from twopass.pipeline.errors import BulkError
from twopass.pipeline.evaluation.runs import Entries, entries, read_entries, write_run
from twopass.retriever.hits import Hits

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.fusion import Fusion
    from twopass.reranker.contract.scorer import Scorer

__all__ = [
    "BulkJob",
    "Progress",
    "Runner",
    "rerank_run",
    "run_locally",
    "score_shard",
]


_PAIRS_AT_ONCE = 2048  # fills batches of any engine; bounds memory


@dataclass(frozen=True, slots=True)
class BulkJob:
    """A run to rerank.

    Attributes:
        run: the first stage's run, a TREC file in plain text.
        texts: where the documents' texts are, see ``open_texts``.
        queries: the queries' file.
        folder: where the shards' results go.
        settings: of the second stage and the fusion.
        tag: the run's name in the results.

    """

    run: Path
    texts: Path
    queries: Path
    folder: Path
    settings: Settings
    tag: str = "twopass"

    def described(self) -> dict[str, Any]:
        """Return what results depend on, for JSON: shards of two jobs must not be mixed."""
        state = self.run.stat()
        queries = self.queries.stat()
        return {
            "run": [str(self.run.resolve()), state.st_size, state.st_mtime_ns],
            "queries": [str(self.queries.resolve()), queries.st_size, queries.st_mtime_ns],
            "reranker": self.settings.reranker.model_dump(mode="json"),
            "fusion": self.settings.fusion.model_dump(mode="json"),
            "tag": self.tag,
        }


def score_shard(job: BulkJob, shard: Shard) -> int:
    """Rerank a shard and write its result atomically; return its number of pairs.

    Raises:
        BulkError: when a query or a document of the run has no text.
        EvaluationError: when a line of the run is not valid.
        RerankerError: when the scorer fails.

    """
    tools = _tools(job)
    target = job.folder / shard.name
    partial = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for query, found in tools.reranked(_entries(job.run, shard)):
                write_run(file, {query: found}, job.tag)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return shard.pairs


@dataclass(frozen=True, slots=True)
class _Tools:
    """What a process needs for its shards, loaded once."""

    scorer: Scorer
    fusion: Fusion
    texts: Texts
    queries: dict[str, str]

    def reranked(self, run: dict[str, Entries]) -> Iterator[tuple[str, Entries]]:
        """Yield each query's new order; some thousand pairs are scored at a time."""
        waiting: list[tuple[str, Hits]] = []
        for query, (ids, scores) in run.items():
            if query not in self.queries:
                raise BulkError(f"expected a text for query {query!r} of the run, found none")
            waiting.append((query, Hits.of(ids.tolist(), scores, self.texts.get(ids.tolist()))))
            if sum(len(hits) for _, hits in waiting) >= _PAIRS_AT_ONCE:
                yield from self._scored(waiting)
                waiting = []
        yield from self._scored(waiting)

    def _scored(self, waiting: list[tuple[str, Hits]]) -> Iterator[tuple[str, Entries]]:
        groups = [[(self.queries[query], text) for text in hits.texts] for query, hits in waiting]
        for (query, hits), scores in zip(waiting, score_groups(self.scorer, groups), strict=True):
            candidates = Candidates(hits, scores, status_of(scores), 0.0, 0.0)
            yield query, entries(fuse(candidates, self.fusion, len(hits)))


def _tools(job: BulkJob) -> _Tools:
    return _loaded(job.texts, job.queries, pickle.dumps(job.settings))


@lru_cache(maxsize=1)
def _loaded(texts: Path, queries: Path, pickled: bytes) -> _Tools:
    """Load what a process needs once; settings are not hashable, but their bytes are."""
    from twopass.reranker.contract.scorer import as_scorer
    from twopass.retriever.corpus import read_queries

    settings: Settings = pickle.loads(pickled)
    return _Tools(
        as_scorer(build_scorer(settings)),
        build_fusion(settings),
        open_texts(texts),
        read_queries(queries),
    )


def _entries(run: Path, shard: Shard) -> dict[str, Entries]:
    with run.open("rb") as file:
        file.seek(shard.start)
        lines = file.read(shard.stop - shard.start).decode("utf-8").split("\n")
    return read_entries((f"{run}, line {n}", text) for n, text in enumerate(lines, shard.line))


def manifest(job: BulkJob, shards: int, size: int) -> str:
    """Return the description of a job that its folder keeps."""
    return json.dumps({**job.described(), "shards": shards, "size": size}, indent=1)


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
"""Processes shards in any order, and yields each when its result is on disk."""


def run_locally(job: BulkJob, shards: Sequence[Shard]) -> Iterator[Shard]:
    """Process shards in this process, in order."""
    for shard in shards:
        score_shard(job, shard)
        yield shard


def rerank_run(
    job: BulkJob,
    out: Path,
    *,
    size: int = 10_000,
    runner: Runner = run_locally,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Rerank a run and write the result atomically.

    Each finished shard is a file in the job's folder. Called again with the same arguments after an
    interruption, it processes the missing shards. At the end they are joined to the file ``out``,
    and the folder is removed.

    Args:
        job: the job.
        out: the file to write.
        size: minimum pairs per shard; an interruption repeats up to one shard.
        runner: processes the shards.
        progress: called after each shard.

    Raises:
        BulkError: when the folder has shards of another job, or another process works on it.
        EvaluationError: when a line of the run is not valid.
        RerankerError, RetrieverError: when a shard fails; finished shards are kept.

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
        raise BulkError(f"{job.folder}: another process works on this job; wait for it") from error
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
            "queries, the settings or the shards' size differ); delete the folder to start again"
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
