from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from .conftest import Run, write_corpus

WORDS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Each query's document says its word twice, others once: b = 0 and k1 large find it."""
    folder = tmp_path / "zoo"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": f"{word}-{n}", "text": f"{word} {word if n == 0 else 'barn'} {'meadow ' * (n + 1)}"}
        for word in WORDS
        for n in range(4)
    ]
    write_corpus(folder / "corpus.jsonl", documents)
    write_corpus(folder / "queries.jsonl", [{"_id": word, "text": word} for word in WORDS])
    lines = ["query-id\tcorpus-id\tscore", *(f"{word}\t{word}-3\t1" for word in WORDS)]
    (folder / "qrels" / "dev.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_settings_are_written_and_read_again(run: Run, collection: Path, model: Path) -> None:
    done = run(
        *("tune", "--data", collection, "--model", model, "--depth", 4, "--folds", 4),
        *("--out", "tuned.toml", "--plot", "plots"),
    )
    assert done.status == 0, done.err
    assert "BM25 only" in done.out
    assert "recommended" in done.out or "the safer choice is BM25 only" in done.out
    written = tomllib.loads(Path("tuned.toml").read_text())
    assert written.get("rerank") is False or {"depth", "fusion"} <= set(written)
    assert sorted(path.name for path in Path("plots").iterdir()) == ["depth.png", "depth.svg"]
    run("index", collection, "--out", "index")
    arguments = ("--config", "tuned.toml", "--index", "index", "--model", model, "--json")
    found = json.loads(run("search", *arguments, "cat").out)
    assert found["status"]["outcome"] == ("complete" if "depth" in written else "skipped")


def test_a_cascade_s_opinions_are_weighed(run: Run, collection: Path, model: Path) -> None:
    cascade = ("-s", "reranker.cascade.model=twopass/tiny", "-s", "reranker.cascade.keep=2")
    arguments = ("--data", collection, "--model", model, "--depth", 4, "--folds", 4)
    done = run("tune", *arguments, *cascade, "--out", "tuned.toml")
    assert done.status == 0, done.err
    assert "best of 170 fusions on all queries" in " ".join(done.out.split())


def test_what_is_there_is_not_replaced(run: Run, collection: Path) -> None:
    Path("mine.toml").write_text("depth = 7\n")
    done = run("tune", "--data", collection, "--out", "mine.toml")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "mine.toml exists" in done.err
    assert Path("mine.toml").read_text() == "depth = 7\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-rerank",), "tuning needs both stages"),
        (("--measure", "goodness"), "unknown measure 'goodness'"),
        (("--split", "train"), "expected the split 'train'"),
    ],
)
def test_mistakes(run: Run, collection: Path, arguments: tuple[str, str], message: str) -> None:
    done = run("tune", "--data", collection, *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
