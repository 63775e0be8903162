"""Whatever is added, updated and deleted: the index is what a rebuild from scratch would be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import DuplicateIdError
from twopass.retriever.filters import Equal, Filter, Range
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import BM25L, BM25Plus, Lucene, Okapi, Scoring

WORDS = [f"w{i}" for i in range(60)]
QUERIES = ["w0 w1", "w3 w3 w9 w20", "w59", " ".join(WORDS), "unknown", ""]


def make(rng: random.Random, id: str) -> Document:
    words = rng.choices(
        WORDS, weights=[1 / (i + 1) for i in range(len(WORDS))], k=rng.randint(0, 25)
    )
    title = rng.choice(["", "w1 w2", "w50"])
    metadata: dict[str, Any] = {"year": rng.randint(1990, 2000)} if rng.random() < 0.7 else {}
    return Document(id, " ".join(words), title, metadata)


def same(living: BM25Index, documents: dict[str, Document], scoring: Scoring) -> None:
    rebuilt = BM25Index.build(documents.values(), analyzer="whitespace", scoring=scoring)
    assert len(living) == len(rebuilt) == len(documents)
    filters: list[Filter | None] = [None]
    if any("year" in document.metadata for document in documents.values()):
        filters += [Range("year", gte=1993, lt=1998), Equal("year", 1995)]
    for filter in filters:
        for k in (1, 5, 1000):
            found = living.search(QUERIES, k, filter=filter)
            expected = rebuilt.search(QUERIES, k, filter=filter)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one.ids, other.ids)
                np.testing.assert_array_equal(one.scores, other.scores)
                np.testing.assert_array_equal(one.texts, other.texts)
    assert list(living.documents()) == list(documents.values())
    for id, document in documents.items():
        assert living.get(id) == document


def change(rng: random.Random, index: BM25Index, documents: dict[str, Document]) -> None:
    ids = list(documents)
    kind = rng.random()
    if kind < 0.45 or not ids:
        fresh = [make(rng, f"d{rng.randint(0, 10**9)}") for _ in range(rng.randint(0, 12))]
        assert index.add(fresh) == len(fresh)
        documents.update((document.id, document) for document in fresh)
    elif kind < 0.75:
        chosen = rng.sample(ids, min(len(ids), rng.randint(1, 8)))
        changed = [make(rng, id) for id in chosen] + [make(rng, f"n{rng.randint(0, 10**9)}")]
        assert index.update(changed) == len(changed)
        for document in changed:
            documents.pop(document.id, None)  # an updated document is the newest
            documents[document.id] = document
    else:
        chosen = rng.sample(ids, min(len(ids), rng.choice([1, 5, 30])))
        assert index.delete([*chosen, "never there"]) == len(chosen)
        for id in chosen:
            del documents[id]


@pytest.mark.parametrize("scoring", [Lucene(), Okapi(), BM25L(), BM25Plus()], ids=lambda s: s.name)
@pytest.mark.parametrize("where", ["folder", "memory"])
def test_random_changes_equal_a_rebuild(scoring: Scoring, where: str, tmp_path: Path) -> None:
    rng = random.Random(f"{scoring.name} {where}")
    path = tmp_path / "index" if where == "folder" else None
    documents: dict[str, Document] = {}
    index = BM25Index.build([], path, analyzer="whitespace", scoring=scoring)
    with index:
        for step in range(60):
            change(rng, index, documents)
            if step % 6 == 0:
                same(index, documents, scoring)
    same(index, documents, scoring)
    if path is not None:
        same(BM25Index.open(path), documents, scoring)
    index.merge()
    assert len(index.snapshot.segments) == 1
    same(index, documents, scoring)
    index.close()


def test_an_id_that_is_there_is_refused_by_add(tmp_path: Path) -> None:
    with BM25Index.build([Document("a", "x")], tmp_path / "i", analyzer="whitespace") as index:
        with pytest.raises(DuplicateIdError, match="'a'"):
            index.add([Document("b", "y"), Document("a", "z")])
        with pytest.raises(DuplicateIdError, match="'c'"):
            index.update([Document("c", "y"), Document("c", "z")])
        assert len(index) == 1
        assert index.get("a").text == "x"
    assert len(BM25Index.open(tmp_path / "i")) == 1


def test_all_documents_can_go_and_come_back(tmp_path: Path) -> None:
    with BM25Index.build([Document("a", "x")], tmp_path / "i", analyzer="whitespace") as index:
        assert index.delete(["a"]) == 1
        assert len(index) == 0
        assert "a" not in index
        assert [len(hits) for hits in index.search(["x"], 5)] == [0]
        assert index.delete(["a"]) == 0
        index.add([Document("a", "x x")])
        assert index.search(["x"], 5)[0].ids.tolist() == ["a"]
