"""The candidates of judged queries, retrieved and scored once, ranked by any fusion and depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.candidates import Candidates, fuse, status_of
from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation.measures import DEFAULT_MEASURES, Qrels, measure_run
from twopass.pipeline.evaluation.results import Evaluation, System
from twopass.pipeline.evaluation.runs import Entries, Run, entries, strictly_decreasing
from twopass.pipeline.fusion import Fusion, reranker
from twopass.pipeline.ranking import Timings
from twopass.pipeline.search import SearchPipeline, check_count
from twopass.reranker.contract.scorer import PairScorer
from twopass.retriever.base import Retriever
from twopass.retriever.corpus.documents import Document
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = [
    "Completed",
    "Pool",
    "collect",
    "missed_documents",
]


class Completed:
    """A first stage that adds the relevant documents that it missed to its hits.

    They get the score of its last hit, or 0 if it has none. sentence-transformers' evaluator adds
    them by default (``always_rerank_positives``), which measures the reranker rather than the
    search. Usable for one pass over the judged queries, in their order.

    Args:
        retriever: the first stage.
        qrels: the judgements, in the order in which their queries will be searched.
        depth: maximum number of the first stage's own hits.
        texts: of the relevant documents, by id.

    Attributes:
        own: number of the first stage's own hits, by query.

    """

    def __init__(
        self, retriever: Retriever, qrels: Qrels, depth: int, texts: Mapping[str, str]
    ) -> None:
        self._retriever = retriever
        self._depth = depth
        self._waiting = iter(qrels.items())
        self._texts = texts
        self.own: dict[str, int] = {}

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        """Return each query's hits of the first stage, and the relevant documents it missed."""
        found = self._retriever.search(queries, min(k, self._depth), filter=filter)
        return [self._completed(*next(self._waiting), hits) for hits in found]

    def _completed(self, query: str, judged: Mapping[str, int], hits: Hits) -> Hits:
        self.own[query] = len(hits)
        known = set(hits.ids)
        missed = [id for id, grade in judged.items() if grade > 0 and id not in known]
        if not missed:
            return hits
        least = float(hits.scores[-1]) if len(hits) else 0.0
        return Hits.of(
            [*hits.ids, *missed],
            np.concatenate([hits.scores, np.full(len(missed), least, dtype=np.float32)]),
            [*hits.texts, *(self._texts[id] for id in missed)],
        )


def missed_documents(documents: Iterable[Document], qrels: Qrels) -> dict[str, str]:
    """Find the texts of all relevant documents in a corpus, read as a stream.

    Raises:
        EvaluationError: when a document is missing.

    """
    wanted = {id for judged in qrels.values() for id, grade in judged.items() if grade > 0}
    texts = {document.id: document.contents for document in documents if document.id in wanted}
    if missing := sorted(wanted - texts.keys()):
        raise EvaluationError(
            f"expected every relevant document in the corpus, found none for {len(missing)} of "
            f"{len(wanted)}, for example {missing[0]!r}"
        )
    return texts


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Judged queries with both stages' scores of their candidates, without the texts.

    Attributes:
        candidates: by query id, in the judgements' order.
        qrels: the judgements.
        depth: how many of the first stage's best hits were scored, per query.
        reranked: whether there was a second stage.
        timings: mean seconds per query and stage; 0 for fusion.
        own: how many candidates of each query the first stage found; the others are relevant
            documents that it missed. ``None`` if none were added.

    """

    candidates: Mapping[str, Candidates]
    qrels: Qrels
    depth: int
    reranked: bool
    timings: Timings
    own: Mapping[str, int] | None = None

    def first(self) -> Run:
        """Return the first stage's run.

        Added documents follow its own, unless it found no relevant one: as in
        sentence-transformers' evaluator, which counts 0 for such a query.
        """
        return {query: self._first(query, found.hits) for query, found in self.candidates.items()}

    def fused(self, fusion: Fusion, *, depth: int | None = None) -> Run:
        """Return the run of a fusion of both stages' scores.

        Args:
            fusion: how.
            depth: as if only so many had been scored; all by default. Hits beyond follow in the
                first stage's order.

        """
        return {
            query: entries(fuse(_cut(found, depth), fusion, len(found.hits)))
            for query, found in self.candidates.items()
        }

    def measured(self, run: Run, measures: Sequence[str]) -> NDArray[np.float64]:
        """Return a run's values, (m, q) float64, by measure and query."""
        return measure_run(run, self.qrels, measures)

    def evaluate(
        self,
        fusions: Mapping[str, Fusion],
        *,
        measures: Sequence[str] = DEFAULT_MEASURES,
        names: tuple[str, str] = ("BM25", "cross-encoder"),
        depth: int | None = None,
    ) -> Evaluation:
        """Measure both stages, and fusions of the two, called "fusion: name".

        Args:
            fusions: by name.
            measures: names of measures.
            names: what the stages' systems are called.
            depth: as if only so many had been scored.

        Raises:
            EvaluationError: when a measure is unknown.
            FusionError: when the scores cannot be fused.

        """
        runs: dict[str, Run] = {names[0]: self.first()}
        if self.reranked:
            named = {names[1]: reranker} | {
                f"fusion: {name}": each for name, each in fusions.items()
            }
            runs |= {name: self.fused(fusion, depth=depth) for name, fusion in named.items()}
        systems = {name: System(run, self.measured(run, measures)) for name, run in runs.items()}
        return Evaluation(
            measures=tuple(measures),
            queries=tuple(self.qrels),
            systems=systems,
            depth=depth or self.depth,
            timings=self.timings,
            missed_added=self.own is not None,
        )

    def _first(self, query: str, hits: Hits) -> Entries:
        ids, scores = hits.ids, hits.scores
        if self.own is not None:
            own = self.own[query]
            if not any(self.qrels[query].get(id, 0) > 0 for id in ids[:own]):
                ids, scores = ids[:own], scores[:own]
        return Entries(ids, strictly_decreasing(scores))


def collect(
    retriever: Retriever,
    scorer: PairScorer | None,
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    depth: int = 100,
    k: int = 100,
    missed: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Pool:
    """Retrieve and score the candidates of all judged queries, each pair once.

    Args:
        retriever: the first stage.
        scorer: the second; ``None`` for the first only.
        queries: texts by query id; those without judgements are ignored.
        qrels: judgements; all their queries count.
        depth: candidates to score per query.
        k: minimum number of hits kept per query.
        missed: texts of all relevant documents by id; those that the first stage missed are
            added after its ``depth`` best and scored too. ``None`` adds none.
        progress: called with the number of queries done.

    Raises:
        EvaluationError: when nothing is judged, or a judged query has no text.
        SearchError: when k or the depth is not a count.
        RetrieverError, RerankerError, ScoringError: when a stage fails.

    """
    texts = _judged(queries, qrels)
    k, depth = check_count("k", k), check_count("depth", depth)
    completed = None if missed is None else Completed(retriever, qrels, depth, missed)
    pipeline = SearchPipeline(completed or retriever, scorer, reranker)
    scored = depth if completed is None else depth + _most_relevant(qrels)
    found = pipeline.candidates(list(texts.values()), max(k, scored), depth=scored)
    candidates: dict[str, Candidates] = {}
    spent = np.zeros(2)
    for query, each in zip(texts, found, strict=True):
        candidates[query] = _without_texts(each)
        spent += each.retrieval, each.rerank
        if progress:
            progress(len(candidates))
    retrieval, rerank = (spent / len(texts)).tolist()
    timings = Timings(retrieval, rerank, fusion=0.0)
    own = None if completed is None else completed.own
    return Pool(candidates, qrels, depth, scorer is not None, timings, own)


def _judged(queries: Mapping[str, str], qrels: Qrels) -> dict[str, str]:
    missing = [query for query in qrels if query not in queries]
    if missing:
        raise EvaluationError(
            f"expected a text for each judged query, found none for {len(missing)} of "
            f"{len(qrels)}, for example {missing[0]!r}"
        )
    if not qrels:
        raise EvaluationError("expected judgements, found none")
    return {query: queries[query] for query in qrels}


def _most_relevant(qrels: Qrels) -> int:
    return max(sum(grade > 0 for grade in judged.values()) for judged in qrels.values())


def _without_texts(candidates: Candidates) -> Candidates:
    hits = candidates.hits
    return replace(candidates, hits=Hits(hits.ids, hits.scores, np.full(len(hits), "", object)))


def _cut(candidates: Candidates, depth: int | None) -> Candidates:
    """Return the candidates as if only the first ``depth`` had been scored."""
    if depth is None or len(candidates.scores) <= depth:
        return candidates
    scores = candidates.scores.take(slice(0, depth))
    return replace(candidates, scores=scores, status=status_of(scores))
