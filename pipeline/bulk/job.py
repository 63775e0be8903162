"""What is to be done: the same for every shard, on whichever machine it is done."""

from __future__ import annotations

import json
import os
import pickle
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bulk.shards import Shard
from pipeline.bulk.texts import Texts, open_texts
from pipeline.errors import BulkError
from pipeline.evaluation.runs import Entries, entries, read_entries, write_run
from pipeline.search import fuse
from pipeline.stages import Candidates, score_groups, status_of
from retriever.hits import Hits

if TYPE_CHECKING:
    from pipeline.fusion import Fusion
    from pipeline.settings import Settings
    from reranker.base import DetailedScorer

__all__ = ["BulkJob", "score_shard"]

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
        """Return what results depend on, fit for JSON: another job's shards are not to be mixed."""
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
    """Rerank a shard and write its result, whole or not at all; returns how many pairs it had.

    Raises:
        BulkError: when a query or a document of the run has no text.
        EvaluationError: when a line is no line of a run.
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
    """What a process needs for all its shards, loaded once."""

    scorer: DetailedScorer
    fusion: Fusion
    texts: Texts
    queries: dict[str, str]

    def reranked(self, run: dict[str, Entries]) -> Iterator[tuple[str, Entries]]:
        """Yield each query's new order, some thousand pairs scored at a time."""
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
    """Load what a process needs once; settings have no hash, their bytes do."""
    from pipeline.assembly import build_fusion, build_scorer
    from reranker.base import as_detailed
    from retriever.corpus import read_queries

    settings: Settings = pickle.loads(pickled)
    return _Tools(
        as_detailed(build_scorer(settings)),
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
    """Return what a folder of shards says it is."""
    return json.dumps({**job.described(), "shards": shards, "size": size}, indent=1)
