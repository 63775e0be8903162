"""The mistakes of a first hour: each is one line that says what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from .conftest import Run

# command -> what its one line must say; {index}, {corpus} and {model} are real
MISTAKES = {
    "index nowhere.jsonl --out new": ["nowhere.jsonl", "expected a file or folder"],
    "index {corpus} --out {index}": ["exists", "--overwrite", "--update"],
    "index {corpus} --out new --id-field pmid": ["pmid", "--id-field"],
    "index {corpus} --out new --analyzer inglish": ["inglish", "english"],
    "index empty.jsonl --out new": ["empty.jsonl", "expected documents, found none"],
    "index broken.jsonl --out new": ["broken.jsonl, line 2", "JSON", "--help"],
    "search question": ["--index", "twopass index"],
    "search --index nowhere question": ["nowhere", "twopass index"],
    "search --index {corpus} question": ["corpus.jsonl", "twopass index"],
    "search --index {index} --model nowhere/nothing question": ["nowhere/nothing", "hf download"],
    "search --index {index} --model ./nothing question": ["./nothing", "folder"],
    "search --index {index} --no-rerank --fusion best question": ["best", "weighted", "rrf"],
    "search --index {index} --no-rerank --filter {{oops question": ["--filter", "JSON"],
    "search --index {index} --no-rerank -s retriever.indx=x question": [
        "retriever.indx", "did you mean", "retriever.index",
    ],
    "search --index {index} --no-rerank --k 0 question": ["--k", "at least 1", "--help"],
    "search --index {index} --config mine.toml question": ["mine.toml", "TOML"],
    "search --index docs -s retriever.kind=elasticsearch question": ["retriever.url", "http"],
    "search --index docs -s retriever.kind=elasticsearch -s retriever.url=http://127.0.0.1:9 "
    "-s retriever.retries=0 q": ["http://127.0.0.1:9", "did not answer", "check its address"],
    "search --index {index} --queries nowhere.tsv": ["nowhere.tsv"],
    "evaluate --data nowhere": ["nowhere", "BEIR folder", "queries.jsonl"],
    "evaluate --data {index} --split dev": ["BEIR"],
    "explain --index {index} question nobody": ["nobody"],
    "info nowhere": ["nowhere", "twopass index"],
    "rerank --run nowhere.trec --corpus {index} --queries q.tsv --out o": ["nowhere.trec: no such"],
    "tune --data {index}": ["BEIR"],
    "calibrate --data nowhere --out o.json": ["nowhere", "BEIR"],
    "search --index {index} --min-score 0.5 question": ["error: min_score", "twopass calibrate"],
    "serve --index nowhere": ["nowhere", "twopass index"],
    "serve --port 99999": ["serve.port", "65535"],
    "serve -s serve.models.none=x": ["error: serve.models", "none"],
    "serch question": ["serch", "search", "--help"],
}  # fmt: skip


@pytest.mark.parametrize("command", MISTAKES)
def test_it_says_what_to_do_next(
    run: Run, index: Path, corpus: Path, model: Path, tmp_path: Path, command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"_id": "a", "text": "b"}\n{"_id": \n')
    words = shlex.split(command.format(index=index, corpus=corpus, model=model))
    done = run(*words)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
    missing = [part for part in MISTAKES[command] if part not in done.err]
    assert not missing, done.err
