"""The index as a whole: top-k equals brute force, and nothing that is thrown at it breaks it."""

from __future__ import annotations

import gzip
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from twopass.retriever.analysis import FunctionAnalyzer
from twopass.retriever.base import Retriever
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import AnalysisError, DuplicateIdError, QueryError
from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import Lucene


def zipf_documents(n: int, seed: int) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [
        Document(f"d{i}", " ".join(f"w{w}" for w in rng.zipf(1.4, rng.integers(0, 40)) if w < 500))
        for i in range(n)
    ]


def brute_force(documents: list[Document], query: str, k: int) -> list[tuple[str, float]]:
    """Lucene's formula, term by term and document by document."""
    bags = {document.id: Counter(document.contents.split()) for document in documents}
    bags = {id: bag for id, bag in bags.items() if bag}
    n = len(bags)
    average = sum(bag.total() for bag in bags.values()) / n
    scores: dict[str, float] = {}
    for term in query.split():
        df = sum(term in bag for bag in bags.values())
        for id, bag in bags.items():
            if term in bag:
                idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
                norm = 1.2 * (0.25 + 0.75 * bag.total() / average)
                scores[id] = scores.get(id, 0.0) + idf * bag[term] / (bag[term] + norm)
    return sorted(scores.items(), key=lambda item: -item[1])[:k]


@pytest.mark.parametrize("k", [1, 10, 100, 100_000])
def test_top_k_equals_brute_force(k: int) -> None:
    documents = zipf_documents(800, 1)
    index = BM25Index.build(documents, analyzer="whitespace")
    assert isinstance(index, Retriever)
    queries = [
        "w1",
        "w1 w1 w7",
        "w3 w200 w499",
        "w2 absent w2",
        " ".join(f"w{i}" for i in range(99)),
    ]
    for query, hits in zip(queries, index.search(queries, k), strict=True):
        expected = brute_force(documents, query, k)
        assert len(hits) == len(expected)
        np.testing.assert_allclose(hits.scores, [score for _, score in expected], rtol=1e-5)
        scores = dict(brute_force(documents, query, 10**9))
        np.testing.assert_allclose(hits.scores, [scores[id] for id in hits.ids], rtol=1e-5)


def test_saved_and_opened_it_is_the_same(tmp_path: Path) -> None:
    documents = zipf_documents(300, 2)
    memory = BM25Index.build(documents, analyzer="whitespace", scoring=Lucene(k1=0.9, b=0.4))
    memory.delete(["d5", "d6"])
    memory.add([Document("new", "w1 w2", title="title", metadata={"a": [1, "x"]})])
    memory.save(tmp_path / "one")
    BM25Index.open(tmp_path / "one").save(tmp_path / "two")
    for path in (tmp_path / "one", tmp_path / "two"):
        opened = BM25Index.open(path)
        opened.verify()
        assert len(opened) == len(memory) == 299
        assert opened.get("new") == memory.get("new")
        for ours, theirs in zip(
            opened.search(["w1 w9", "w4"], 50), memory.search(["w1 w9", "w4"], 50), strict=True
        ):
            np.testing.assert_array_equal(ours.ids, theirs.ids)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            np.testing.assert_array_equal(ours.texts, theirs.texts)
    info = BM25Index.open(tmp_path / "two").info()
    assert info["analyzer"]["name"] == "whitespace"
    assert info["scoring"] == {
        "name": "lucene",
        "k1": 0.9,
        "b": 0.4,
        "lengths": "exact",
        "scaled": False,
    }
    assert (info["documents"], info["deleted"], info["fields"]) == (299, 2, ["a"])


def test_the_scoring_can_be_chosen_when_opening(tmp_path: Path) -> None:
    documents = zipf_documents(200, 3)
    BM25Index.build(documents, tmp_path / "i", analyzer="whitespace")
    built = BM25Index.build(documents, analyzer="whitespace", scoring=Lucene(k1=0.5, b=0.1))
    opened = BM25Index.open(tmp_path / "i", scoring=Lucene(k1=0.5, b=0.1))
    [ours], [theirs] = opened.search(["w1 w2 w3"], 200), built.search(["w1 w2 w3"], 200)
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_runs_that_do_not_fit_into_memory_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = zipf_documents(500, 4)
    one = BM25Index.build(documents, analyzer="whitespace")
    monkeypatch.setattr("twopass.retriever.index.builder._BATCH_DOCUMENTS", 10)
    many = BM25Index.build(
        documents, tmp_path / "i", analyzer="whitespace", run_terms=300, threads=2
    )
    for ours, theirs in zip(many.search(["w1 w9"], 500), one.search(["w1 w9"], 500), strict=True):
        np.testing.assert_array_equal(ours.ids, theirs.ids)
        np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert len(list((tmp_path / "i").glob("segment-*"))) == 1
    assert not list((tmp_path / "i").glob("run-*"))


@pytest.mark.parametrize("run_terms", [None, 20_000])
def test_threads_build_the_same_files_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_terms: int | None
) -> None:
    documents = [
        replace(each, title=f"T{i}", metadata={"n": i} if i % 3 else {})
        for i, each in enumerate(zipf_documents(3000, 5))
    ]
    monkeypatch.setattr("twopass.retriever.index.builder._BATCH_DOCUMENTS", 64)
    monkeypatch.setattr("twopass.retriever.index.document_store._BUFFER_BYTES", 10_000)
    for module in ("inversion", "postings"):  # threads for as few terms as there are here
        monkeypatch.setattr(f"twopass.retriever.index.{module}._SHARE", 100)
    files = []
    for threads in (1, 2, 5):
        folder = tmp_path / str(threads)
        BM25Index.build(
            documents, folder, analyzer="whitespace", run_terms=run_terms, threads=threads
        )
        names = sorted(path.name for path in folder.iterdir() if "writer" not in path.name)
        files.append([(name, (folder / name).read_bytes()) for name in names])
    assert [name.partition("-")[0] for name, _ in files[0]] == ["manifest.json", "segment"]
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize(
    "documents", [[], [Document("a", "")], [Document("a", ""), Document("b", "the of")]]
)
def test_nothing_to_find(documents: list[Document], tmp_path: Path) -> None:
    index = BM25Index.build(documents, tmp_path / "i")
    assert [len(hits) for hits in index.search(["a query", "", "the"], 10)] == [0, 0, 0]
    assert len(index) == len(documents)
    assert [len(hits) for hits in BM25Index.open(tmp_path / "i").search([], 10)] == []


def test_documents_that_are_hard_to_keep(tmp_path: Path) -> None:
    documents = [
        Document("long", "needle " + "hay stack " * 500_000),
        Document("control", "\x00 needle\x01\x02 \x1b[0m \r\n\t"),
        Document("surrogate \udcff", "needle \ud800 x", title="\udfff"),
        Document("emoji 🦊", "needle 👩‍👩‍👧 नमस्ते שלום 中文", metadata={"ключ": "значение"}),
        Document("empty", ""),
        Document("x" * 10_000, "needle"),
    ]
    BM25Index.build(documents, tmp_path / "i")
    index = BM25Index.open(tmp_path / "i")
    assert [index.get(document.id) for document in documents] == documents
    [hits] = index.search(["needle"], 10)
    assert set(hits.ids) == {d.id for d in documents} - {"empty"}
    assert dict(zip(hits.ids, hits.texts, strict=True)) == {
        d.id: d.contents for d in documents if d.id != "empty"
    }


def test_queries_that_are_hard_to_read() -> None:
    documents = zipf_documents(300, 5)
    index = BM25Index.build(documents, analyzer="whitespace")
    long = " ".join(f"w{i % 700}" for i in range(10_000))
    [hits] = index.search([long], 1000)
    expected = brute_force(documents, long, 1000)
    np.testing.assert_allclose(hits.scores, [score for _, score in expected], rtol=1e-4)
    english = BM25Index.build(documents)
    for query in ["the of and", "\x00\x01\x1f", "\ud800", "", " ", '"', "+-^()", "w1 \x00 w2"]:
        [hits] = english.search([query], 5)
        assert len(hits) == (5 if "w" in query else 0)


def test_what_cannot_be_asked() -> None:
    index = BM25Index.build([Document("a", "x")])
    with pytest.raises(QueryError, match="list of strings"):
        index.search("x", 1)
    for k in (0, -1):
        with pytest.raises(QueryError, match="k: expected"):
            index.search(["x"], k)
    with pytest.raises(QueryError, match="list of ids"):
        index.delete("a")
    with pytest.raises(KeyError):
        index.get("b")
    assert "a" in index
    assert "b" not in index


def test_an_id_twice_is_refused_by_name() -> None:
    with pytest.raises(DuplicateIdError, match="'same'"):
        BM25Index.build([Document("same", "x"), Document("b", "x"), Document("same", "y")])


def test_an_analyzer_of_ones_own(tmp_path: Path) -> None:
    commas = FunctionAnalyzer("test-unregistered", lambda text: text.split(","))
    index = BM25Index.build([Document("a", "x y,z")], tmp_path / "i", analyzer=commas)
    assert len(index.search(["x y"], 1)[0]) == 1
    assert len(index.search(["x"], 1)[0]) == 0
    with pytest.raises(AnalysisError, match=r"test-unregistered.*register"):
        BM25Index.open(tmp_path / "i")


def test_progress_counts_documents() -> None:
    done: list[int] = []
    BM25Index.build((Document(str(i), "x") for i in range(10_000)), progress=done.append)
    assert done == sorted(done)
    assert done[-1] == 10_000
    assert len(done) > 1


def test_threads_get_what_one_gets() -> None:
    index = BM25Index.build(zipf_documents(500, 6), analyzer="whitespace")
    queries = [f"w{i} w{i + 1} w{i * 3}" for i in range(1, 60)]
    expected = index.search(queries, 20)
    wrong: list[int] = []

    def search(i: int) -> None:
        for ours, theirs in zip(index.search(queries, 20), expected, strict=True):
            if ours.ids.tolist() != theirs.ids.tolist():
                wrong.append(i)

    threads = [threading.Thread(target=search, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    for ours, theirs in zip(index.search(queries, 20, threads=4), expected, strict=True):
        np.testing.assert_array_equal(ours.ids, theirs.ids)


def lines(folder: Path, name: str) -> list[dict[str, str]]:
    [path] = folder.glob(f"{name}.jsonl*")
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize(("name", "published"), [("scifact", 0.6789), ("nfcorpus", 0.3218)])
def test_ndcg_is_the_published_one(
    name: str, published: float, data: Callable[[str], Path]
) -> None:
    """Pyserini's "BM25 flat" on BEIR: title and text in one field, k1 0.9, b 0.4."""
    folder = data(name)
    documents = (Document(d["_id"], d["text"], d["title"]) for d in lines(folder, "corpus"))
    index = BM25Index.build(documents, scoring=Lucene(k1=0.9, b=0.4))
    rows = [row.split("\t") for row in (folder / "qrels/test.tsv").read_text().splitlines()[1:]]
    qrels = [ir_measures.Qrel(query, id, int(grade)) for query, id, grade in rows]
    judged = {query for query, _, _ in rows}
    queries = {q["_id"]: q["text"] for q in lines(folder, "queries") if q["_id"] in judged}
    run = [
        ir_measures.ScoredDoc(query, id, float(score))
        for query, hits in zip(queries, index.search(list(queries.values()), 1000), strict=True)
        for id, score in zip(hits.ids, hits.scores, strict=True)
    ]
    found = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10]
    assert found == pytest.approx(published, abs=0.003)
