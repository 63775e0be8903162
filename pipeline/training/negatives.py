"""Hard negatives from the first stage: what it puts high and nobody judged relevant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.settings.train import NegativeSettings
from pipeline.training.collection import Collection
from reranker.training.examples import Example
from retriever.base import Retriever
from retriever.hits import Hits

__all__ = ["Mined", "mine"]

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Mined:
    """What was mined.

    Attributes:
        examples: one for each relevant document of each query: that document first, then the
            negatives.
        missed: how many relevant documents were not among the first stage's hits.
        account: how, in a sentence for the card.

    """

    examples: list[Example]
    missed: int
    account: str


def mine(
    retriever: Retriever,
    collection: Collection,
    settings: NegativeSettings,
    seed: int,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Mined:
    """Draw the negatives of every query of a collection.

    A negative is a hit that is not judged relevant for the query; where the hits do not suffice,
    and for ``settings.random`` of them, any other document. Draws depend on the seed and the
    query's place alone.

    Raises:
        RetrieverError: when the first stage fails.

    """
    contents = collection.contents()
    ids = list(contents)
    ordered = list(collection.queries)
    examples: list[Example] = []
    missed = 0
    for start in range(0, len(ordered), _AT_ONCE):
        block = ordered[start : start + _AT_ONCE]
        texts = [collection.queries[query] for query in block]
        found = retriever.search(texts, settings.skip + settings.depth)
        for at, (query, hits) in enumerate(zip(block, found, strict=True), start):
            relevant = [d for d, grade in collection.qrels[query].items() if grade > 0]
            rng = np.random.default_rng([seed, at])
            for positive in relevant:
                hard, seen = _hard(hits, positive, set(relevant), settings, rng)
                missed += not seen
                chosen = _with_strays(hard, ids, set(relevant), settings, rng)
                told = {**contents, **dict(zip(hits.ids, hits.texts, strict=True))}
                examples.append(_example(collection.queries[query], positive, chosen, told))
        progress(start + len(block))
    return Mined(examples, missed, _account(settings, seed))


def _hard(
    hits: Hits,
    positive: str,
    relevant: set[str],
    settings: NegativeSettings,
    rng: np.random.Generator,
) -> tuple[list[str], bool]:
    """Return the hits that are drawn, and whether the relevant document was among the hits."""
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
    """Return numbers of which the smallest are taken."""
    ranks = np.arange(size, dtype=np.float64)
    if draw == "top":
        return ranks
    keys = rng.random(size)
    # with keys that grow as the rank's root, good ranks are likelier and none is out of reach
    return keys if draw == "uniform" else keys * np.sqrt(1 + ranks)


def _with_strays(
    hard: list[str],
    ids: list[str],
    relevant: set[str],
    settings: NegativeSettings,
    rng: np.random.Generator,
) -> list[str]:
    """Fill up with documents of the whole corpus."""
    chosen = list(hard)
    wanted = min(settings.count, len(ids) - len(relevant))
    while len(chosen) < wanted:
        stray = ids[int(rng.integers(len(ids)))]
        if stray not in relevant and stray not in chosen:
            chosen.append(stray)
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
        f"{last}{margin} that nobody judged relevant ({settings.draw}), the rest from the whole "
        f"corpus; seed {seed}."
    )
