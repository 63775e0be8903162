"""Runs: the results of a system for many queries, in memory, as TREC files, and as a first stage.

A run's scores are strictly decreasing. trec_eval and similar tools ignore the ranks in a file, sort
by score, and order equal scores by document id, descending. A tie is therefore written with the
smallest step of a float32, so that the file keeps the order that was shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.fusion import Fusion
from twopass.pipeline.ranking import Ranking
from twopass.retriever.corpus.documents import Document
from twopass.retriever.corpus.lines import read_lines
from twopass.retriever.corpus.sources import Source
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = [
    "Entries",
    "ReplayRetriever",
    "Run",
    "entries",
    "fuse_runs",
    "read_entries",
    "read_run",
    "strictly_decreasing",
    "write_run",
]


class Entries(NamedTuple):
    """The results of a system for one query.

    Attributes:
        ids: (n,) object, ``str``: document ids, best first.
        scores: (n,) float32, strictly decreasing.

    """

    ids: NDArray[np.object_]
    scores: NDArray[np.float32]


Run: TypeAlias = Mapping[str, Entries]
"""Entries by query id."""


def entries(ranking: Ranking) -> Entries:
    """Return a ranking's entries in a run, with the fused scores."""
    return Entries(ranking.ids, strictly_decreasing(ranking.fused))


def strictly_decreasing(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lower scores by the smallest steps of a float32, until each is below the previous one.

    Args:
        scores: (n,) float32, non-increasing; NaN at the end counts as equal to the last number.

    """
    lowered = scores.copy()
    lowered[:1] = np.nan_to_num(lowered[:1])
    for place in range(1, len(lowered)):
        ceiling = np.nextafter(lowered[place - 1], np.float32(-np.inf))
        if not lowered[place] <= ceiling:  # equal, or NaN
            lowered[place] = ceiling
    return lowered


def write_run(target: str | os.PathLike[str] | TextIO, run: Run, tag: str = "twopass") -> None:
    """Write a run as TREC does: query id, Q0, document id, rank, score, tag, a line each.

    Raises:
        EvaluationError: when an id or the tag is empty or has white space, which the format
            does not allow.

    """
    _check(tag, "tag")
    with _opened(target) as file:
        for query, (ids, scores) in run.items():
            _check(query, "query id")
            for rank, (id, score) in enumerate(zip(ids, scores, strict=True), start=1):
                file.write(f"{query} Q0 {_check(id, 'document id')} {rank} {score:.9g} {tag}\n")


def read_run(path: str | os.PathLike[str]) -> dict[str, Entries]:
    """Read a TREC run, plain or gzipped, in the order in which trec_eval takes it.

    That is by score, as float32, and equal scores by document id, descending; not by rank.

    Raises:
        CorpusError: when the file cannot be read.
        EvaluationError: when a line is not valid, or a query has a document twice.

    """
    source = Source(Path(path), "tsv")
    lines = enumerate(read_lines(source), start=1)
    return read_entries((source.place(number), line) for number, line in lines)


def read_entries(lines: Iterable[tuple[str, str]]) -> dict[str, Entries]:
    """Read lines of a TREC run, each with its place for messages; see ``read_run``.

    Raises:
        EvaluationError: when a line is not valid, or a query has a document twice.

    """
    found: dict[str, dict[str, np.float32]] = {}
    for place, line in lines:
        if line.strip():
            query, document, score = _parse(place, line)
            scores = found.setdefault(query, {})
            if document in scores:
                raise EvaluationError(
                    f"{place}: document {document!r} came before for query {query!r}"
                )
            scores[document] = score
    return {query: _sorted(scores) for query, scores in found.items()}


def _parse(place: str, line: str) -> tuple[str, str, np.float32]:
    parts = line.split()
    try:
        query, _, document, _, score, _ = parts
        with np.errstate(over="ignore"):
            number = np.float32(score)
    except ValueError as error:
        raise EvaluationError(
            f"{place}: expected query id, Q0, document id, rank, score and tag, found {line!r:.80}"
        ) from error
    if not np.isfinite(number):
        raise EvaluationError(f"{place}: expected a finite score, found {score}")
    return query, document, number


def _sorted(scores: dict[str, np.float32]) -> Entries:
    ids = sorted(scores, key=lambda id: (scores[id], id.encode()), reverse=True)
    column = np.array(ids, dtype=object)
    return Entries(column, strictly_decreasing(np.array([scores[id] for id in ids], np.float32)))


def _check(word: str, what: str) -> str:
    if word.split() != [word]:
        raise EvaluationError(
            f"a TREC run cannot hold the {what} {word!r}: expected a word without white space"
        )
    return word


def _opened(target: str | os.PathLike[str] | TextIO) -> AbstractContextManager[TextIO]:
    if isinstance(target, str | os.PathLike):
        return Path(target).open("w", encoding="utf-8", newline="\n")
    return nullcontext(target)


class ReplayRetriever:
    """A saved run as a first stage, for one pass over its queries in the judgements' order.

    Args:
        run: what was found; queries without entries find nothing.
        queries: (q,) ids in the order in which they will be searched.
        documents: the corpus, read once as a stream; texts of the run's documents are kept.

    Raises:
        EvaluationError: when a document of the run is not in the corpus.

    """

    def __init__(self, run: Run, queries: Iterable[str], documents: Iterable[Document]) -> None:
        self._run = run
        self._waiting = iter(queries)
        wanted = {id for ids, _ in run.values() for id in ids}
        self._texts = {each.id: each.contents for each in documents if each.id in wanted}
        if missing := sorted(wanted - self._texts.keys()):
            raise EvaluationError(
                f"expected the run's documents in the corpus, found {len(missing)} of "
                f"{len(wanted)} not there, for example {missing[0]!r}"
            )

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return the first ``k`` entries of each query.

        Raises:
            EvaluationError: when there is a filter, because a run has no metadata.

        """
        if filter is not None:
            raise EvaluationError("expected no filter: a saved run cannot be filtered")
        return [self._hits(next(self._waiting), k) for _ in queries]

    def _hits(self, query: str, k: int) -> Hits:
        if query not in self._run:
            return Hits.empty()
        ids, scores = self._run[query]
        return Hits.of(ids[:k].tolist(), scores[:k], [self._texts[id] for id in ids[:k]])


def fuse_runs(runs: Sequence[Run], fusion: Fusion) -> Run:
    """Fuse several systems' runs: what one lacks is NaN in its column.

    Args:
        runs: (s,) first stage first; their union is ranked, ties and what the fusion does not
            place in the order of the first run, then of the next ones.
        fusion: how.

    Raises:
        FusionError: when the scores cannot be fused.

    """
    queries = dict.fromkeys(query for run in runs for query in run)
    return {query: _fused([run.get(query) for run in runs], fusion) for query in queries}


def _fused(found: Sequence[Entries | None], fusion: Fusion) -> Entries:
    places: Mapping[str, int] = {
        id: place
        for place, id in enumerate(
            dict.fromkeys(id for entries in found if entries for id in entries.ids)
        )
    }
    columns = np.full((len(found), len(places)), np.nan, dtype=np.float32)
    for column, entries in zip(columns, found, strict=True):
        if entries is not None:
            column[[places[id] for id in entries.ids]] = entries.scores
    fused = fusion(columns)
    best = np.argsort(-fused, kind="stable")
    return Entries(_objects(places)[best], strictly_decreasing(fused[best]))


def _objects(ids: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(ids), dtype=object)
