"""Which candidates a query is taught on: near misses by words and by meaning, and a stray one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from distill.teachers import TEACHERS, mixed_scores
from distill.texts import Passage, Query
from numpy.typing import NDArray

from twopass.reranker.training import Example
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

__all__ = ["draw_examples"]

_SIZE = 8
_ORIGIN_KEPT = {"sentence": 0.4}  # the passage that the sentence stands in is no riddle


def _bm25_rows(texts: Sequence[str], queries: Sequence[str], k: int) -> NDArray[np.int32]:
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


def draw_examples(
    passages: Sequence[Passage],
    queries: Sequence[Query],
    passage_vectors: Sequence[NDArray[np.float16]],
    query_vectors: Sequence[NDArray[np.float16]],
    seed: int,
) -> list[Example]:
    """Return a list for each query, with the teachers' mean; vectors are per teacher.

    Scores are in units of the teachers' spread, 0 halfway between the passages judged relevant and
    the best others. The label is given where a person judged; long passages are compared with long
    ones alone.
    """
    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, list[int]]] = []
    for long in (False, True):
        pool = np.array([row for row, p in enumerate(passages) if p.long == long], np.int32)
        asked = np.array([row for row, q in enumerate(queries) if q.long == long], np.int32)
        texts = [queries[row].text for row in asked]
        lexical = _bm25_rows([passages[row].text for row in pool], texts, 60)
        dense = _nearest([v[asked] for v in query_vectors], [v[pool] for v in passage_vectors], 24)
        for at, row in enumerate(asked):
            words = np.where(lexical[at] >= 0, pool[lexical[at]], -1)
            drawn.append((int(row), _draw(queries[row], words, pool[dense[at]], pool, rng)))
    query, rows = (np.array(column, np.int32) for column in zip(*drawn, strict=True))
    cosines = [
        np.einsum("nd,nkd->nk", q[query].astype(np.float32), p[rows].astype(np.float32))
        for q, p in zip(query_vectors, passage_vectors, strict=True)
    ]
    scores = mixed_scores(cosines)
    judged = np.array([queries[row].positive >= 0 for row in query])
    level = (scores[judged, 0] + scores[judged, 1:].max(1)).mean() / 2
    first = tuple(float(at == 0) for at in range(_SIZE))
    return [
        Example(
            queries[asked].text,
            tuple(passages[row].text for row in listed),
            first if people else (),
            tuple(float(score) for score in taught - level),
        )
        for asked, listed, people, taught in zip(query, rows, judged, scores, strict=True)
    ]
