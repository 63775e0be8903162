"""Hard negatives from the first stage, and teachers' scores for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twopass.pipeline.training.collection import Collection
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.training.examples import Example
from twopass.retriever.base import Retriever
from twopass.retriever.hits import Hits

__all__ = [
    "MiningResult",
    "NegativeSettings",
    "TeachingResult",
    "keep_within",
    "mine_negatives",
    "score_with_teachers",
]


class NegativeSettings(BaseModel):
    """How the negatives of a query are chosen.

    Attributes:
        number: negatives per relevant passage.
        positives: instead of a number, the share of pairs that are relevant (0.17 on the card).
        random: how many of them are drawn from the whole corpus.
        depth: number of the first stage's hits that the others are drawn from.
        skip: number of best hits to leave out: they may be relevant but unjudged.
        margin: leave out hits whose first-stage score is above (1 - margin) of the relevant one's.
        draw: "near" (better ranks are more likely), "top" or "uniform".

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)] = 7
    positives: Annotated[float, Field(gt=0, le=1)] | None = None
    random: Annotated[int, Field(ge=0)] = 1
    depth: Annotated[int, Field(ge=1)] = 60
    skip: Annotated[int, Field(ge=0)] = 0
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None
    draw: Literal["near", "top", "uniform"] = "near"

    @property
    def count(self) -> int:
        """The number of negatives per relevant passage."""
        if self.positives is None:
            return self.number
        return max(1, round((1 - self.positives) / self.positives))


_QUERIES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class MiningResult:
    """Examples with mined negatives.

    Attributes:
        examples: one for each relevant document of each query: that document first, then the
            negatives.
        missed: how many relevant documents were not among the first stage's hits.
        account: how they were mined, in a sentence for the card.

    """

    examples: list[Example]
    missed: int
    account: str


def mine_negatives(
    retriever: Retriever,
    collection: Collection,
    settings: NegativeSettings,
    seed: int,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> MiningResult:
    """Draw the negatives of every query of a collection.

    A negative is a hit that is not judged relevant for the query; if there are too few hits,
    and for ``settings.random`` of them, any other document. Draws depend only on the seed and
    the query's position.

    Raises:
        RetrieverError: when the first stage fails.

    """
    contents = collection.contents()
    ids = list(contents)
    ordered = list(collection.queries)
    examples: list[Example] = []
    missed = 0
    for start in range(0, len(ordered), _QUERIES_AT_ONCE):
        block = ordered[start : start + _QUERIES_AT_ONCE]
        texts = [collection.queries[query] for query in block]
        found = retriever.search(texts, settings.skip + settings.depth)
        for at, (query, hits) in enumerate(zip(block, found, strict=True), start):
            relevant = [d for d, grade in collection.qrels[query].items() if grade > 0]
            rng = np.random.default_rng([seed, at])
            for positive in relevant:
                hard, seen = _hard(hits, positive, set(relevant), settings, rng)
                missed += not seen
                chosen = _with_random(hard, ids, set(relevant), settings, rng)
                texts_by_id = {**contents, **dict(zip(hits.ids, hits.texts, strict=True))}
                examples.append(_example(collection.queries[query], positive, chosen, texts_by_id))
        progress(start + len(block))
    return MiningResult(examples, missed, _account(settings, seed))


def _hard(
    hits: Hits,
    positive: str,
    relevant: set[str],
    settings: NegativeSettings,
    rng: np.random.Generator,
) -> tuple[list[str], bool]:
    """Return the drawn hits, and whether the relevant document was among the hits."""
    place = np.flatnonzero(hits.ids == positive)
    ceiling = np.inf
    if settings.margin is not None and len(place):
        ceiling = (1 - settings.margin) * float(hits.scores[place[0]])
    pool = [
        str(id)
        for rank, (id, score) in enumerate(zip(hits.ids, hits.scores, strict=True))
        if rank >= settings.skip and id not in relevant and score <= ceiling
    ]
    wanted = max(0, settings.count - settings.random)
    keys = _keys(len(pool), settings.draw, rng)
    return [pool[at] for at in np.argsort(keys, kind="stable")[:wanted]], bool(len(place))


def _keys(size: int, draw: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a sort key per hit; the smallest are drawn."""
    ranks = np.arange(size, dtype=np.float64)
    if draw == "top":
        return ranks
    keys = rng.random(size)
    # with keys that grow as the rank's root, good ranks are more likely and all are possible
    return keys if draw == "uniform" else keys * np.sqrt(1 + ranks)


def _with_random(
    hard: list[str],
    ids: list[str],
    relevant: set[str],
    settings: NegativeSettings,
    rng: np.random.Generator,
) -> list[str]:
    """Add random documents of the whole corpus."""
    chosen = list(hard)
    wanted = min(settings.count, len(ids) - len(relevant))
    while len(chosen) < wanted:
        other = ids[int(rng.integers(len(ids)))]
        if other not in relevant and other not in chosen:
            chosen.append(other)
    return chosen


def _example(query: str, positive: str, negatives: list[str], texts: Mapping[str, str]) -> Example:
    passages = (texts[positive], *(texts[id] for id in negatives))
    return Example(query, passages, (1.0, *[0.0] * len(negatives)))


def _account(settings: NegativeSettings, seed: int) -> str:
    first, last = settings.skip + 1, settings.skip + settings.depth
    margin = (
        ""
        if settings.margin is None
        else f" with at most {1 - settings.margin:g} of the relevant passage's score"
    )
    return (
        f"Each relevant passage has {settings.count} negatives: "
        f"{max(0, settings.count - settings.random)} of the first stage's hits {first} to "
        f"{last}{margin} not judged relevant ({settings.draw}), the rest from the whole "
        f"corpus; seed {seed}."
    )


_PAIRS_AT_ONCE = 4096  # pairs


@dataclass(frozen=True, slots=True)
class TeachingResult:
    """Examples with the teachers' scores.

    Attributes:
        examples: in the same order.
        spreads: by teacher: the mean standard deviation of its scores within a list.

    """

    examples: list[Example]
    spreads: tuple[float, ...]


def score_with_teachers(
    examples: Sequence[Example],
    teachers: Iterable[PairScorer],
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> TeachingResult:
    """Give the examples the mean of the teachers' scores, each in units of its own spread.

    Args:
        examples: lists; existing scores are replaced.
        teachers: any scorers, on any scale.
        progress: called with the number of pairs scored.

    Raises:
        RerankerError: when a teacher fails.

    """
    pairs = [(e.query, p) for e in examples for p in e.passages]
    ends = np.cumsum([len(e.passages) for e in examples])
    # a passage's pairs together, so that an encoder reads it once
    order = sorted(range(len(pairs)), key=lambda row: pairs[row][1])
    total = np.zeros(len(pairs), np.float64)
    spreads: list[float] = []
    for teacher in teachers:
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            rows = order[start : start + _PAIRS_AT_ONCE]
            scores[rows] = teacher.predict([pairs[row] for row in rows])
            progress(len(spreads) * len(pairs) + start + len(rows))
        spread = _spread(np.split(scores, ends[:-1]))
        spreads.append(spread)
        total += scores / spread
    mean = total / max(1, len(spreads))
    taught = [
        replace(e, scores=tuple(np.round(column, 5).tolist()))
        for e, column in zip(examples, np.split(mean, ends[:-1]), strict=True)
    ]
    return TeachingResult(taught, tuple(spreads))


def _spread(columns: Sequence[NDArray[np.float32]]) -> float:
    within = [float(column.std()) for column in columns if len(column) > 1]
    return max(float(np.mean(within)) if within else 1.0, 1e-6)


def keep_within(examples: Sequence[Example], margin: float) -> tuple[list[Example], int]:
    """Drop negatives that the teacher scores above the best relevant passage minus a margin.

    They are probably relevant but unjudged: Qu et al. 2021 (RocketQA), arXiv:2010.08191; with a
    margin to the relevant passage, Moreira et al. 2024 (NV-Retriever), arXiv:2407.15831.

    Returns:
        The examples with the remaining passages, and the number of dropped ones; a list without
        scores or labels stays unchanged.

    """
    kept: list[Example] = []
    dropped = 0
    for e in examples:
        if not (e.scores and e.positives):
            kept.append(e)
            continue
        ceiling = max(s for s, label in zip(e.scores, e.labels, strict=True) if label > 0) - margin
        places = [
            at
            for at, (score, label) in enumerate(zip(e.scores, e.labels, strict=True))
            if label > 0 or score <= ceiling
        ]
        dropped += len(e.passages) - len(places)
        passages = tuple(e.passages[at] for at in places)
        labels = tuple(e.labels[at] for at in places)
        scores = tuple(e.scores[at] for at in places)
        kept.append(Example(e.query, passages, labels, scores))
    return kept, dropped
