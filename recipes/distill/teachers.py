"""Encoders as teachers: every text is embedded once, a pair's score is a cosine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

__all__ = ["TEACHERS", "Teacher", "embed", "mixed_scores"]


@dataclass(frozen=True, slots=True)
class Teacher:
    """How an encoder embeds, and how far its cosines spread.

    ``spread`` is the mean standard deviation of its cosines over a query's BM25 candidates,
    which makes the scores of several teachers comparable; ``weight`` is its share in their mean.
    """

    name: str  # on the hub, or a local folder
    pooling: str  # "mean" or "first"
    query_prefix: str
    passage_prefix: str
    spread: float
    weight: float


TEACHERS = (
    Teacher("intfloat/e5-small-v2", "mean", "query: ", "passage: ", 0.032, 0.5),
    Teacher(
        "BAAI/bge-small-en-v1.5",
        "first",
        "Represent this sentence for searching relevant passages: ",
        "",
        0.076,
        0.5,
    ),
)


def _encode(
    folder: Path, teacher: Teacher, texts: Sequence[str], tokens: int = 4096
) -> NDArray[np.float16]:
    """Return unit vectors, (n, hidden) float16, in the texts' order."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, add_pooling_layer=False, dtype=torch.bfloat16).eval()
    ids = tokenizer(list(texts), truncation=True, max_length=384)["input_ids"]
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    vectors = np.empty((len(ids), model.config.hidden_size), np.float16)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * len(ids[order[stop]]) <= tokens:
            stop += 1
        rows = order[start:stop]
        batch = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state.float()
        if teacher.pooling == "mean":
            kept = batch["attention_mask"].unsqueeze(-1)
            pooled = (hidden * kept).sum(1) / kept.sum(1)
        else:
            pooled = hidden[:, 0]
        vectors[rows] = torch.nn.functional.normalize(pooled, dim=-1).half().numpy()
        start = stop
    return vectors


def embed(
    folder: Path, teacher: Teacher, texts: Sequence[str], cache: Path, *, queries: bool = False
) -> NDArray[np.float16]:
    """Return the texts' unit vectors, kept in ``cache`` under a digest of what was embedded."""
    prefix = teacher.query_prefix if queries else teacher.passage_prefix
    prefixed = [prefix + text for text in texts]
    digest = hashlib.sha256("\0".join([teacher.name, *prefixed]).encode()).hexdigest()[:16]
    path = cache / f"{digest}.npy"
    if not path.exists():
        vectors = _encode(folder, teacher, prefixed)
        with path.with_suffix(".part").open("wb") as out:
            np.save(out, vectors)
        path.with_suffix(".part").rename(path)
    return np.load(path)


def mixed_scores(cosines: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the teachers' weighted mean, each in units of its spread."""
    parts = [t.weight * c / t.spread for t, c in zip(TEACHERS, cosines, strict=True)]
    return np.sum(parts, axis=0, dtype=np.float32)
