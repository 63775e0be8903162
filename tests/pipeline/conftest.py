"""A corpus and a second stage that are small and real."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bert import save_tiny_bert

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index


class TermOverlap:
    """A pair scorer: Jaccard similarity of the words of query and passage."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.calls.append(len(pairs))
        return np.array([self._similarity(*pair) for pair in pairs], dtype=np.float32)

    @staticmethod
    def _similarity(query: str, passage: str) -> float:
        one, other = (set(re.findall(r"\w+", text.lower())) for text in (query, passage))
        return len(one & other) / max(len(one | other), 1)


@pytest.fixture
def overlap() -> TermOverlap:
    return TermOverlap()


@pytest.fixture(scope="session")
def animals() -> BM25Index:
    """Index 60 short texts about animals; many share terms, some are alike."""
    names = ["cat", "dog", "fox", "hen", "owl"]
    acts = ["sleeps", "hunts mice", "runs and runs", "watches the farm at night"]
    places = ["in the barn", "near the old river", "on a warm roof, far from people"]
    texts = [f"The {name} {act} {place}." for name in names for act in acts for place in places]
    return BM25Index.build(Document(f"d{i:02}", text) for i, text in enumerate(texts))


_WORDS = """
a around at cat chased dog fears fox garden hen hunt hunts in mat mice mouse near night old on owl
owls river roof runs sat sleeps slept the too warm watches
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a real cross-encoder, tiny and untrained."""
    return save_tiny_bert(tmp_path_factory.mktemp("model"), _WORDS.split(), max_length=32)
