"""Development queries: candidates retrieved once, measured again as the model changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twopass.pipeline.evaluation import evaluate
from twopass.pipeline.fusion import Fusion
from twopass.pipeline.training.collection import Collection
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.training.card import DataFacts, EvaluationTable
from twopass.reranker.training.examples import Example
from twopass.retriever.base import Retriever
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits

__all__ = ["Development", "first_stage", "headline_measures"]

_MEASURES = ("nDCG@10", "MAP", "MRR@10")
_FUSED = "fusion"


@dataclass(frozen=True, slots=True, eq=False)
class _CachedRetriever:
    """A retriever that returns hits of earlier searches."""

    hits: Mapping[str, Hits]

    def search(self, queries: Sequence[str], k: int, *, filter: Filter | None = None) -> list[Hits]:
        del k, filter
        return [self.hits[query] for query in queries]


@dataclass(frozen=True, slots=True, eq=False)
class Development:
    """One development split with its candidates.

    Attributes:
        collection: queries, judgements and documents.
        whole: the collection before its queries were sampled, to check for leaks.
        found: the first stage's hits, by the query's text.
        depth: the maximum number of hits a query.
        fusion: how both stages' scores become one.

    """

    collection: Collection
    whole: Collection
    found: _CachedRetriever
    depth: int
    fusion: Fusion

    @classmethod
    def of(
        cls,
        retriever: Retriever,
        whole: Collection,
        queries: int | None,
        depth: int,
        fusion: Fusion,
    ) -> Development:
        """Retrieve the candidates of ``queries`` queries, chosen by a hash of their ids.

        Raises:
            RetrieverError: when the first stage fails.

        """
        collection = whole.sample(queries)
        texts = list(dict.fromkeys(collection.queries.values()))
        found = retriever.search(texts, depth)
        hits = _CachedRetriever(dict(zip(texts, found, strict=True)))
        return cls(collection, whole, hits, depth, fusion)

    def facts(self) -> DataFacts:
        """Return the facts for the card: the queries with their candidates."""
        own = self.collection
        lists = []
        for query, text in own.queries.items():
            hits = self.found.hits[text]
            labels = tuple(float(own.qrels[query].get(str(id), 0) > 0) for id in hits.ids)
            if labels:
                lists.append(Example(text, tuple(hits.texts), labels))
        return DataFacts.of(own.name, lists, role="evaluation")

    def table(self, scorer: PairScorer | None) -> EvaluationTable:
        """Measure the first stage, and a scorer by itself and fused with it.

        Raises:
            RerankerError, ScoringError: when the scorer fails.

        """
        own = self.collection
        fusions = {_FUSED: self.fusion}
        measured = evaluate(
            self.found,
            scorer,
            fusions,
            own.queries,
            own.qrels,
            depth=self.depth,
            k=self.depth,
            measures=_MEASURES,
        )
        systems = {name.rpartition(": ")[2]: measured.means(name) for name in measured.systems}
        return EvaluationTable(own.name, len(own.queries), self.depth, systems)


def headline_measures(tables: Sequence[EvaluationTable]) -> dict[str, float]:
    """Return the measures shown during training, means over sets; the first decides the best."""
    measure = _MEASURES[0]
    values = {
        measure: _mean([t.systems[t.model][measure] for t in tables]),
        f"{measure} fused": _mean([t.systems[_FUSED][measure] for t in tables]),
    }
    if len(tables) > 1:
        values |= {f"{measure} {t.name}": t.systems[t.model][measure] for t in tables}
    return values


def first_stage(tables: Sequence[EvaluationTable]) -> dict[str, float]:
    """Return the first stage's values by the names that ``headline_measures`` gives."""
    if not tables:
        return {}
    measure = _MEASURES[0]
    values = {t.name: next(iter(t.systems.values()))[measure] for t in tables}
    mean = _mean(list(values.values()))
    named = {measure: mean, f"{measure} fused": mean}
    return named | {f"{measure} {name}": value for name, value in values.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
