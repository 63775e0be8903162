"""How good the student is on queries that it is not taught."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures
import numpy as np
from distill.lists import bm25_rows
from ir_measures import nDCG
from numpy.typing import NDArray

from retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries

__all__ = ["VALIDATION", "Task", "load_task", "ndcg"]

VALIDATION = (("nq-qed", "dev", 80, 20), ("squad", "dev", 80, 20), ("scifact", "train", 60, 20))

Score = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Queries, their BM25 candidates and their judgements; rows are parallel."""

    name: str
    ids: list[str]
    queries: list[str]
    candidates: list[list[tuple[str, str]]]  # (document id, text), best first
    qrels: dict[str, dict[str, int]]


def load_task(root: Path, name: str, split: str, sample: int, depth: int, seed: int = 12) -> Task:
    """Return ``sample`` judged queries of a split (all if 0) with BM25's top ``depth``."""
    folder = BeirFolder(root / name)
    qrels = read_qrels(folder.qrels(split))
    texts = read_queries(folder.queries)
    ids = sorted(qrels)
    if sample:
        ids = random.Random(seed).sample(ids, sample)
    documents = [(d.id, d.contents) for d in read_documents(folder.path)]
    rows = bm25_rows([text for _, text in documents], [texts[i] for i in ids], depth)
    found = [[documents[row] for row in best if row >= 0] for best in rows]
    return Task(f"{name}/{split}", ids, [texts[i] for i in ids], found, {i: qrels[i] for i in ids})


def ndcg(task: Task, score: Score | None = None) -> float:
    """Return nDCG@10 after reranking by ``score``; BM25's own without one."""
    run: dict[str, dict[str, float]] = {}
    pairs = [
        (q, text) for q, best in zip(task.queries, task.candidates, strict=True) for _, text in best
    ]
    scores = score(pairs) if score else None
    at = 0
    for query, best in zip(task.ids, task.candidates, strict=True):
        values = -np.arange(len(best)) if scores is None else scores[at : at + len(best)]
        run[query] = {d: float(v) for (d, _), v in zip(best, values, strict=True)}
        at += len(best)
    return float(ir_measures.calc_aggregate([nDCG @ 10], task.qrels, run)[nDCG @ 10])
