from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from twopass.retriever.index.index import BM25Index
from twopass.retriever.scoring import Okapi

from .conftest import DOCUMENTS, Run, write_corpus


def test_the_summary_goes_to_standard_error(run: Run, corpus: Path) -> None:
    done = run("index", corpus, "--out", "index")
    assert done.status == 0
    assert done.out == ""
    assert done.err.startswith("index: 4 documents, ")
    assert done.err.count("\n") == 1


def test_analyzer_and_formula_are_stored(run: Run, corpus: Path) -> None:
    run(
        "index",
        corpus,
        "--out",
        "index",
        "--analyzer",
        "whitespace",
        "--scoring",
        "okapi",
        "--b",
        0.5,
    )
    info = BM25Index.open("index").info()
    assert info["analyzer"]["name"] == "whitespace"
    assert info["scoring"] == {"name": "okapi", "k1": 1.5, "b": 0.5, "epsilon": Okapi().epsilon}


def test_settings_from_a_file(run: Run, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "twopass.toml").write_text("[retriever]\nanalyzer = 'whitespace'\nk1 = 2.0\n")
    run("index", corpus, "--out", "index", "--k1", 0.9)
    info = BM25Index.open("index").info()
    assert info["analyzer"]["name"] == "whitespace"
    assert info["scoring"]["k1"] == 0.9


def test_fields_formats_and_skips(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("key,body,name\n1,one,A\n,two,B\n3,three,C\n")
    reading = ("--format", "csv", "--id-field", "key", "--title-field", "name")
    stopped = run("index", "c.txt", "--out", "index", *reading)
    assert stopped.status == 2
    assert "c.txt, line 3: field 'key'" in stopped.err
    assert not Path("index").exists()
    done = run("index", "c.txt", "--out", "index", *reading, "--on-error", "skip")
    assert done.status == 0
    assert done.err.splitlines()[0] == "skipped 1 records, the first of them:"
    assert "c.txt, line 3: field 'key'" in done.err.splitlines()[1]
    assert BM25Index.open("index").get("3").title == "C"


def test_standard_input(run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BufferedReader(io.BytesIO(corpus.read_bytes()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    assert run("index", "-", "--out", "index").status == 0
    assert len(BM25Index.open("index")) == 4


def test_an_index_is_not_replaced_unasked(run: Run, index: Path, tmp_path: Path) -> None:
    one = write_corpus(tmp_path / "one.jsonl", DOCUMENTS[:1])
    assert run("index", one, "--out", index).status == 2
    assert len(BM25Index.open(index)) == 4
    assert run("index", one, "--out", index, "--overwrite").status == 0
    assert len(BM25Index.open(index)) == 1


def test_update_adds_and_replaces(run: Run, index: Path, tmp_path: Path) -> None:
    more = [{"_id": "fox", "text": "A fox."}, {"_id": "cat", "text": "A changed cat."}]
    path = write_corpus(tmp_path / "more.jsonl", more)
    done = run("index", path, "--out", index, "--update")
    assert done.err.startswith(f"{index}: 5 documents")
    assert BM25Index.open(index).get("cat").text == "A changed cat."


@pytest.mark.parametrize("given", [("--analyzer", "standard"), ("--k1", "0")])
def test_an_update_changes_no_formula(
    run: Run, index: Path, corpus: Path, given: tuple[str, str]
) -> None:
    done = run("index", corpus, "--out", index, "--update", *given)
    assert done.status == 2
    assert "do not pass them again" in done.err


def test_delete(run: Run, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("delete", "--index", index, "cat", "unknown")
    assert done.err == f"{index}: 1 of 2 deleted, 3 documents left\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("dog\n\nowl\n"))
    run("delete", "--index", index, "-")
    assert len(BM25Index.open(index)) == 1


def test_info(run: Run, index: Path) -> None:
    shown = run("info", index)
    assert "documents       4\n" in shown.out
    assert "fields          year\n" in shown.out
    info = json.loads(run("info", index, "--json").out)
    assert info == BM25Index.open(index).info()


def test_info_verifies(run: Run, index: Path) -> None:
    assert "verified        yes\n" in run("info", index, "--verify").out
    largest = max(index.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)
    done = run("info", index, "--verify")
    assert (done.status, done.out) == (2, "")
    assert largest.name in done.err
