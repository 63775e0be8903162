"""What the tiny model is taught on: texts, queries of many kinds, and lists of candidates."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from distill.queries import abstract_queries, made_queries, webbed
from distill.texts import Collection, Passage, Query

from twopass import BM25Index, Document
from twopass.reranker.training import Example

__all__ = ["draw_examples", "read_texts"]

_SIZE = 8  # candidates of a list: the query's own passage, six of BM25's best, a stray one
_DEPTH = 60
_COUNTS = {
    "squad": 3_500, "medquad": 1_200, "title": 2_000, "phrase": 1_200, "sentence": 800,
    "abstract": 2_000,
}  # fmt: skip
_THINNED = 0.25  # share of words that a query made from an abstract loses
_ORIGIN_KEPT = 0.7  # share of the made queries' lists that hold the passage they came from


def read_texts(root: Path, seed: int) -> tuple[list[Passage], list[Query]]:
    """Return passages of five collections, and people's and made queries over them."""
    rng = random.Random(seed)
    taken = Collection(root, rng)
    taken.nq(0.5)
    taken.squad(0.1, _COUNTS["squad"])
    taken.medquad(0.1, _COUNTS["medquad"])
    taken.abstracts("scifact", 0.7, whole=0.5)
    taken.abstracts("nfcorpus", 0.4, whole=0.5)
    made = made_queries(taken.passages, _COUNTS, rng)
    queries = [webbed(query, rng) for query in [*taken.queries, *made]]
    about = abstract_queries(taken.passages, _COUNTS["abstract"], rng)
    return taken.passages, queries + [webbed(_thinned(query, rng), rng) for query in about]


def _thinned(query: Query, rng: random.Random) -> Query:
    """Leave words out, so that the passage does not hold the query as it is."""
    words = query.text.split()
    kept = [word for word in words if rng.random() >= _THINNED]
    return replace(query, text=" ".join(kept if len(kept) > 2 else words))


def draw_examples(
    passages: Sequence[Passage], queries: Sequence[Query], seed: int
) -> list[Example]:
    """Return a list for each query, with BM25's scores: near misses by words, and a stray passage.

    The first is the one that people judged relevant, labelled so; or, in most lists of a made
    query, the one that it was made from. Long passages are compared with long ones alone.
    """
    rng = np.random.default_rng(seed)
    drawn: list[Example] = []
    for long in (False, True):
        pool = [(row, p.text) for row, p in enumerate(passages) if p.long == long]
        drawn += _drawn(pool, [q for q in queries if q.long == long], rng)
    return drawn


def _drawn(
    pool: Sequence[tuple[int, str]], queries: Sequence[Query], rng: np.random.Generator
) -> Iterator[Example]:
    place = {row: at for at, (row, _) in enumerate(pool)}
    texts = [text for _, text in pool]
    index = BM25Index.build(Document(str(at), text) for at, text in enumerate(texts))
    for query, hits in zip(queries, index.search([q.text for q in queries], _DEPTH), strict=True):
        scores = dict(zip(map(int, hits.ids), map(float, hits.scores), strict=True))
        own = place[query.origin]
        chosen = [own] if query.positive >= 0 or rng.random() < _ORIGIN_KEPT else []
        hard = [at for at in scores if at != own]
        # with keys that grow as the rank's root, good ranks are likelier and none is out of reach
        keys = rng.random(len(hard)) * np.sqrt(1 + np.arange(len(hard)))
        chosen += [hard[at] for at in np.argsort(keys)[: _SIZE - 1 - len(chosen)]]
        while len(chosen) < _SIZE:
            stray = int(rng.integers(len(texts)))
            if stray not in chosen:
                chosen.append(stray)
        yield Example(
            query.text,
            tuple(texts[at] for at in chosen),
            tuple(float(at == own) for at in chosen),
            tuple(scores.get(at, 0.0) for at in chosen),
        )
