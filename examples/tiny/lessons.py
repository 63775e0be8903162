"""What the tiny model is taught on: texts, queries of many kinds, and lists of candidates."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from distill.lists import bm25_rows
from distill.queries import abstract_queries, made_queries, webbed
from distill.texts import Collection, Passage, Query

from reranker.training import Example

__all__ = ["draw_examples", "read_texts"]

_DRAWN = 16  # candidates: the query's own passage, twelve of BM25's best, strays
_LEXICAL = 12
_SIZE = 8  # of them are read, the first
_DEPTH = 60
_COUNTS = {
    "squad": 5_000, "medquad": 1_200, "title": 2_400, "phrase": 1_200, "sentence": 800,
    "abstract": 700,
}  # fmt: skip
_ORIGIN_KEPT = 0.6  # share of the made queries that are taught


def read_texts(root: Path, seed: int) -> tuple[list[Passage], list[Query]]:
    """Return passages of four collections, and people's and made queries over them."""
    rng = random.Random(seed)
    taken = Collection(root, rng)
    taken.nq(0.5)
    taken.squad(0.1, _COUNTS["squad"])
    taken.medquad(0.1, _COUNTS["medquad"])
    taken.scifact(0.45)
    made = made_queries(taken.passages, _COUNTS, rng)
    queries = [webbed(query, rng) for query in [*taken.queries, *made]]
    return taken.passages, queries + abstract_queries(taken.passages, _COUNTS["abstract"], rng)


def draw_examples(
    passages: Sequence[Passage], queries: Sequence[Query], seed: int
) -> list[Example]:
    """Return a list for each query: its own passage, near misses by words, and a stray one.

    Its own is the one that people judged relevant, or the one that the query was made from. Long
    passages are compared with long ones alone.
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
    found = bm25_rows(texts, [q.text for q in queries], _DEPTH)
    for query, hits in zip(queries, found, strict=True):
        own = [place[query.origin]] if query.positive >= 0 or rng.random() < _ORIGIN_KEPT else []
        hard = [int(hit) for hit in hits if hit >= 0 and hit not in own]
        # with keys that grow as the rank's root, good ranks are likelier and none is out of reach
        keys = rng.random(len(hard)) * np.sqrt(1 + np.arange(len(hard)))
        chosen = own + [hard[at] for at in np.argsort(keys)[:_LEXICAL]]
        while len(chosen) < _DRAWN:
            stray = int(rng.integers(len(texts)))
            if stray not in chosen:
                chosen.append(stray)
        if chosen[0] == place[query.origin]:
            labels = (1.0, *[0.0] * (_SIZE - 1))
            yield Example(query.text, tuple(texts[at] for at in chosen[:_SIZE]), labels)
