"""Which candidates a query is taught on: near misses by words and by meaning, and a stray one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from distill.teachers import TEACHERS, mixed_scores
from distill.texts import Passage, Query
from numpy.typing import NDArray

from retriever.bm25.index import BM25Index
from retriever.documents import Document

__all__ = ["Lists", "bm25_rows", "draw_lists", "two_courses"]

_SIZE = 8
_ORIGIN_KEPT = {"sentence": 0.4}  # the passage that the sentence stands in is no riddle


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Training examples: one query and its candidates a row."""

    query: NDArray[np.int32]  # (n,) rows of the queries
    passages: NDArray[np.int32]  # (n, 8) rows of the passages
    scores: NDArray[np.float32]  # (n, 8) the teachers' mean, in units of their spread
    label: NDArray[np.int8]  # (n,) column of the passage judged relevant, -1 without judgement

    def save(self, path: Path) -> None:
        """Write one npz file."""
        columns = {name: getattr(self, name) for name in self.__slots__}
        with path.with_suffix(".part").open("wb") as out:
            np.savez(out, **columns)
        path.with_suffix(".part").rename(path)

    @classmethod
    def load(cls, path: Path) -> Lists:
        """Read what ``save`` wrote."""
        with np.load(path) as columns:
            return cls(**columns)


def bm25_rows(texts: Sequence[str], queries: Sequence[str], k: int) -> NDArray[np.int32]:
    """Return the rows of the best texts, (n, k) int32, best first, -1 where fewer match."""
    index = BM25Index.build(Document(str(row), text) for row, text in enumerate(texts))
    rows = np.full((len(queries), k), -1, np.int32)
    for at, hits in enumerate(index.search(queries, k)):
        rows[at, : len(hits.ids)] = hits.ids.astype(np.int32)
    return rows


def _nearest(
    queries: Sequence[NDArray[np.float16]], passages: Sequence[NDArray[np.float16]], k: int
) -> NDArray[np.int32]:
    """Return the rows of the passages that the teachers' mean puts first, (n, k) int32."""
    # the mean of scaled cosines is one product of the vectors written behind each other
    taught = zip(TEACHERS, queries, strict=True)
    scaled = [vectors.astype(np.float32) * t.weight / t.spread for t, vectors in taught]
    left = torch.from_numpy(np.concatenate(scaled, 1)).bfloat16()
    right = torch.from_numpy(np.concatenate(passages, 1)).bfloat16().T
    return torch.cat([(part @ right).topk(k).indices for part in left.split(256)]).int().numpy()


def _draw(
    query: Query,
    lexical: NDArray[np.int32],
    dense: NDArray[np.int32],
    pool: NDArray[np.int32],
    rng: np.random.Generator,
) -> list[int]:
    """Choose one list: the positive or origin, four by words, two by meaning, one at random."""
    chosen: list[int] = []
    if query.positive >= 0:
        chosen.append(query.positive)
    elif rng.random() < _ORIGIN_KEPT.get(query.kind, 0.6):
        chosen.append(query.origin)

    def take(rows: NDArray[np.int32], many: int) -> None:
        free = [row for row in rows if row >= 0 and row not in chosen]
        # the higher the rank, the likelier: the density of log(rank) is uniform
        keys = rng.random(len(free)) * (1.0 + np.arange(len(free))) ** 0.5
        chosen.extend(int(free[i]) for i in np.argsort(keys)[:many])

    take(lexical, 4)
    take(dense, 7 - len(chosen))
    while len(chosen) < _SIZE:
        stray = int(rng.choice(pool))
        if stray not in chosen:
            chosen.append(stray)
    return chosen


def draw_lists(
    passages: Sequence[Passage],
    queries: Sequence[Query],
    passage_vectors: Sequence[NDArray[np.float16]],
    query_vectors: Sequence[NDArray[np.float16]],
    seed: int,
) -> Lists:
    """Return the lists of all queries in an order drawn by the seed; vectors are per teacher."""
    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, list[int]]] = []
    for long in (False, True):
        pool = np.array([row for row, p in enumerate(passages) if p.long == long], np.int32)
        asked = np.array([row for row, q in enumerate(queries) if q.long == long], np.int32)
        if not len(asked):
            continue
        texts = [queries[row].text for row in asked]
        lexical = bm25_rows([passages[row].text for row in pool], texts, 60)
        dense = _nearest([v[asked] for v in query_vectors], [v[pool] for v in passage_vectors], 24)
        for at, row in enumerate(asked):
            words = np.where(lexical[at] >= 0, pool[lexical[at]], -1)
            drawn.append((int(row), _draw(queries[row], words, pool[dense[at]], pool, rng)))
    order = rng.permutation(len(drawn))
    query = np.array([drawn[at][0] for at in order], np.int32)
    rows = np.array([drawn[at][1] for at in order], np.int32)
    cosines = [
        np.einsum("nd,nkd->nk", q[query].astype(np.float32), p[rows].astype(np.float32))
        for q, p in zip(query_vectors, passage_vectors, strict=True)
    ]
    label = np.array([0 if queries[row].positive >= 0 else -1 for row in query], np.int8)
    return Lists(query, rows, mixed_scores(cosines), label)


def two_courses(first: Lists, second: Lists, begin: int, end: int, seed: int) -> Lists:
    """Return ``first``, with ``second`` mixed into its rows from ``begin`` to ``end``."""
    columns = {
        name: np.concatenate([getattr(first, name)[:end], getattr(second, name)])
        for name in Lists.__slots__
    }
    order = np.arange(len(columns["query"]))
    np.random.default_rng(seed).shuffle(order[begin:])
    return Lists(
        **{
            name: np.concatenate([column[order], getattr(first, name)[end:]])
            for name, column in columns.items()
        }
    )
