"""Collections by name, saved runs in the place of a stage, and fusions of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.pipeline.errors import EvaluationError
from twopass.pipeline.evaluation import (
    Collection,
    Entries,
    ReplayRetriever,
    collect,
    fuse_runs,
    open_collection,
)
from twopass.pipeline.evaluation.collections import of_ir_datasets
from twopass.pipeline.fusion import rrf
from twopass.retriever.corpus.documents import Document
from twopass.retriever.errors import CorpusError

DOCUMENTS = {"d1": "a cat", "d2": "a dog", "d3": "an owl"}


@pytest.fixture
def nano(tmp_path: Path) -> Path:
    """A folder as the hub has NanoBEIR's sets."""
    import pyarrow
    import pyarrow.parquet

    tables = {
        "corpus": {"_id": [*DOCUMENTS], "text": [*DOCUMENTS.values()]},
        "queries": {"_id": ["q1", "q2"], "text": ["which cat", "which owl"]},
        "relevance": {
            "query-id": ["q1", "q2"],
            "positive-corpus-ids": [["d1"], ["d3", "d2"]],
            "bm25-ranked-ids": [["d2", "d1"], ["d3", "d1", "d2"]],
        },
    }
    for name, columns in tables.items():
        (tmp_path / "NanoZoo" / name).mkdir(parents=True)
        file = tmp_path / "NanoZoo" / name / "train-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return tmp_path / "NanoZoo"


def test_a_set_of_nanobeir_has_its_own_first_stage(nano: Path, overlap: Any) -> None:
    found = open_collection(str(nano))
    assert found.name == "NanoZoo"
    assert found.queries == {"q1": "which cat", "q2": "which owl"}
    assert found.qrels == {"q1": {"d1": 1}, "q2": {"d3": 1, "d2": 1}}
    assert [document.id for document in found.documents()] == [*DOCUMENTS]
    assert found.first is not None
    first = ReplayRetriever(found.first, found.qrels, found.documents())
    pool = collect(first, overlap, found.queries, found.qrels, depth=2, k=2)
    assert pool.first()["q1"].ids.tolist() == ["d2", "d1"]
    assert pool.first()["q2"].ids.tolist() == ["d3", "d1"]
    assert pool.candidates["q1"].scores.values.tolist() == [0.0, pytest.approx(1 / 3)]


def test_an_unreachable_set_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        EvaluationError, match=r"hf download --repo-type dataset .*NanoNowhere-bm25"
    ):
        open_collection("NanoNowhere")


def test_a_dataset_of_ir_datasets(tmp_path: Path) -> None:
    import ir_datasets

    files = {
        "docs.tsv": "".join(f"{id}\t{text}\n" for id, text in DOCUMENTS.items()),
        "queries.tsv": "q1\twhich cat\nq2\twhich owl\n",
        "qrels": "q1 0 d1 1\nq2 0 d3 2\nq2 0 d1 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    dataset = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    found = of_ir_datasets("zoo", dataset)
    assert {each.id: each.text for each in found.documents()} == DOCUMENTS
    assert found.queries == {"q1": "which cat", "q2": "which owl"}
    assert found.qrels == {"q1": {"d1": 1}, "q2": {"d3": 2, "d1": 0}}
    part = ir_datasets.create_dataset(docs_tsv=str(tmp_path / "docs.tsv"))
    with pytest.raises(EvaluationError, match="found no queries and no qrels"):
        of_ir_datasets("zoo", part)


def test_an_unknown_dataset_of_ir_datasets() -> None:
    with pytest.raises(EvaluationError, match="has no dataset 'nowhere'"):
        open_collection("irds:nowhere")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(CorpusError, match="not-there: expected a BEIR folder"):
        open_collection("not-there")


def _documents() -> Iterator[Document]:
    return (Document(id, text) for id, text in DOCUMENTS.items())


def _entries(*ids: str) -> Entries:
    return Entries(np.array(ids, dtype=object), np.arange(len(ids), 0, -1, dtype=np.float32))


def test_a_run_in_the_place_of_a_first_stage() -> None:
    run = {"q1": _entries("d3", "d1"), "q2": _entries("d2")}
    retriever = ReplayRetriever(run, ["q2", "none", "q1"], _documents())
    second, nothing, first = retriever.search(["b", "c", "a"], 1)
    assert (second.ids.tolist(), second.texts.tolist()) == (["d2"], ["a dog"])
    assert len(nothing) == 0
    assert first.ids.tolist() == ["d3"]
    with pytest.raises(EvaluationError, match="found 1 of 2 not there, for example 'd9'"):
        ReplayRetriever({"q": _entries("d1", "d9")}, ["q"], _documents())


def test_fused_runs_are_unions() -> None:
    one = {"q1": _entries("d1", "d2"), "q2": _entries("d1")}
    other = {"q1": _entries("d3", "d2"), "q3": _entries("d2")}
    fused = fuse_runs([one, other], rrf)
    assert fused["q1"].ids.tolist() == ["d2", "d1", "d3"]  # in both; then ties, the first's first
    assert fused["q2"].ids.tolist() == ["d1"]
    assert fused["q3"].ids.tolist() == ["d2"]
    assert (np.diff(fused["q1"].scores) < 0).all()


def test_a_sample_is_part_of_a_larger_one_and_the_same_everywhere() -> None:
    qrels = {f"q{n}": {"d": 1} for n in range(40)}
    whole = Collection("many", lambda: iter(()), dict.fromkeys(qrels, "text"), qrels)
    small, large = whole.sample(10).qrels, whole.sample(20).qrels
    assert (len(small), len(large)) == (10, 20)
    assert set(small) < set(large)
    backwards = replace(whole, qrels=dict(reversed(qrels.items())))
    assert set(backwards.sample(10).qrels) == set(small)
    assert set(whole.sample(10, seed=1).qrels) != set(small)
    assert whole.sample(None) is whole
    assert whole.sample(41) is whole
