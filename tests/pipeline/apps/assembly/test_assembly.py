from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twopass.pipeline import fusion
from twopass.pipeline.apps.assembly import (
    build_fusion,
    build_index,
    build_pipeline,
    build_retriever,
    build_scorer,
)
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.errors import SettingsError
from twopass.reranker.contract.errors import ModelError
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import NotAnIndexError, ScoringError, UnreachableError
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import BM25Plus, Lucene, Okapi

DOCUMENTS = [Document("a", "one cat"), Document("b", "two cats and a dog"), Document("c", "a dog")]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    BM25Index.build(DOCUMENTS, tmp_path / "index", scoring=Lucene(k1=0.9))
    return tmp_path / "index"


def test_the_index_that_is_named(index: Path) -> None:
    retriever = build_retriever(Settings(retriever={"index": str(index)}))
    assert isinstance(retriever, BM25Index)
    expected = BM25Index.open(index).search(["cat"], 3)[0]
    np.testing.assert_array_equal(retriever.search(["cat"], 3)[0].scores, expected.scores)


def test_another_formula(index: Path) -> None:
    settings = Settings(retriever={"index": str(index), "formula": "okapi"})
    expected = BM25Index.open(index, scoring=Okapi()).search(["cat"], 3)[0]
    np.testing.assert_array_equal(
        build_retriever(settings).search(["cat"], 3)[0].scores, expected.scores
    )


def test_the_library_on_the_same_documents(index: Path) -> None:
    chosen = {"kind": "rank-bm25", "index": str(index), "formula": "plus", "k1": 1.0}
    hits = build_retriever(Settings(retriever=chosen)).search(["cat"], 3)[0]
    expected = BM25Index.open(index, scoring=BM25Plus(k1=1.0)).search(["cat"], 3)[0]
    assert hits.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(hits.scores, expected.scores, rtol=1e-5)
    with pytest.raises(ScoringError, match="lucene"):
        build_retriever(Settings(retriever={**chosen, "formula": "lucene"}))


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_server_is_asked_at_the_first_search(kind: str) -> None:
    where = {"kind": kind, "index": "i", "username": "u", "password": "p"}
    with pytest.raises(SettingsError, match=r"retriever\.url: .* http://localhost:9200"):
        build_retriever(Settings(retriever=where))
    retriever = build_retriever(Settings(retriever={**where, "url": "http://127.0.0.1:9"}))
    with pytest.raises(UnreachableError):
        retriever.search(["cat"], 1)


def test_no_index_is_named() -> None:
    with pytest.raises(SettingsError, match=r"retriever\.index: .*--index"):
        build_retriever(Settings())


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotAnIndexError):
        build_pipeline(Settings(retriever={"index": str(tmp_path / "absent")}))


def test_an_index_as_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(retriever={"analyzer": "whitespace", "b": 0.1})
    info = build_index(settings, DOCUMENTS, tmp_path / "new").info()
    assert info["analyzer"]["name"] == "whitespace"
    assert info["scoring"]["b"] == 0.1


def test_a_title_that_counts_more(tmp_path: Path) -> None:
    documents = [Document("text", "one cat"), Document("title", "one", title="cat")]
    for weight, best in ((1, "text"), (5, "title")):
        settings = Settings(retriever={"title_weight": weight, "threads": 2, "b": 0})
        index = build_index(settings, documents, tmp_path / str(weight))
        assert index.search(["cat"], 1)[0].ids.tolist() == [best]


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="absent"):
        build_scorer(Settings(reranker={"model": "twopass/absent"}))


def test_the_fusion_with_its_parameters() -> None:
    columns = np.array([[3, 2, 1], [0.1, 0.9, 0.5]], dtype=np.float32)
    built = build_fusion(Settings(fusion={"method": "rrf", "k": 1, "weights": [1, 2]}))
    np.testing.assert_array_equal(built(columns), fusion.rrf(columns, k=1, weights=[1, 2]))


def test_the_first_stage_alone(index: Path) -> None:
    ranking = build_pipeline(Settings(retriever={"index": str(index)}), rerank=False).search("cat")
    assert ranking.ids.tolist() == ["a", "b"]
    assert ranking.status.outcome == "skipped"
