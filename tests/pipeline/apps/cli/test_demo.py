from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twopass.pipeline.apps.demo import FOLDER
from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.index.index import BM25Index

from .conftest import Run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "twopass"


def test_what_ships_is_the_collection(data: Callable[[str], Path]) -> None:
    source = data("demo-medquad-mini")
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        assert (FOLDER / file).read_bytes() == (source / file).read_bytes()


def test_what_ships_is_whole() -> None:
    folder = BeirFolder(FOLDER)
    documents = {document.id for document in read_documents(FOLDER)}
    queries, qrels = read_queries(folder.queries), read_qrels(folder.qrels("test"))
    assert (len(documents), len(queries)) == (1_699, 1_498)
    assert qrels.keys() == queries.keys()
    assert {id for judged in qrels.values() for id in judged} <= documents


def test_credit_and_warning_ship() -> None:
    about = (FOLDER / "README.md").read_text(encoding="utf-8")
    for words in ("no medical advice", "CC BY 4.0", "Ben Abacha", "BMC Bioinformatics"):
        assert words in about


def test_both_stages_scores(run: Run, model: Path) -> None:
    done = run("demo", "--model", model, "--k", 3, "what are the signs of a stroke?")
    assert (done.status, done.err) == (0, "")
    assert "no medical advice" in done.out
    assert "CC BY 4.0" in done.out
    start = done.out.splitlines().index("> what are the signs of a stroke?")
    header, *hits = done.out.splitlines()[start + 1 : start + 5]
    assert header.split()[2:5] == ["BM25", "rerank", "fused"]
    for rank, hit in enumerate(hits, 1):
        place, _, *scores = hit.split()[:5]
        assert int(place) == rank
        assert all(float(score) == float(score) for score in scores)


def test_what_an_earlier_run_left_does_not_matter(run: Run, cache: Path) -> None:
    run("demo", "--no-rerank", "stroke")
    for file in (cache / "demo").iterdir():
        file.write_bytes(b"damaged")
    assert run("demo", "--no-rerank", "stroke").status == 0
    assert len(BM25Index.open(cache / "demo")) == 1_699


def test_a_cache_that_cannot_be_written(run: Run, cache: Path) -> None:
    cache.parent.write_text("a file, no folder")
    done = run("demo", "--no-rerank")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)


def test_questions_of_its_own(run: Run) -> None:
    done = run("demo", "--no-rerank")
    assert done.status == 0
    assert done.out.count("\n> ") >= 2
    assert f"--data {FOLDER}" in done.out
