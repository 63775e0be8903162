"""Runs in the place of stages: a first stage that was saved, and fusions of several runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import EvaluationError
from pipeline.evaluation.runs import Entries, Run, strictly_decreasing
from pipeline.fusion import Fusion
from retriever.documents import Document
from retriever.filters import Filter
from retriever.hits import Hits

__all__ = ["Replayed", "fuse_runs"]


class Replayed:
    """A run as a first stage, for one pass over its queries in the judgements' order.

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
            EvaluationError: when there is a filter, for a run knows nothing of metadata.

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
