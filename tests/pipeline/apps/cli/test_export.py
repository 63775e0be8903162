from __future__ import annotations

import json
from pathlib import Path

import pytest

from twopass.retriever.index.index import BM25Index

from .conftest import Run

SERVED = ("--index", "index", "--server", "http://127.0.0.1:9")


def test_the_bulk_format(run: Run, index: Path) -> None:
    done = run("export", "--index", index)
    assert done.err == f"{index}: 4 documents written\n"
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["create"]["_id"] for line in lines[::2]] == ["cat", "dog", "owl", "mouse"]
    assert [line["text"] for line in lines[1::2]] == [
        document.text for document in BM25Index.open(index).documents()
    ]
    run("export", "--index", index, "--out", "bulk.ndjson")
    assert Path("bulk.ndjson").read_text() == done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--index", "absent"), "absent"),
        (
            ("export", "--index", "index", "--server", "http://127.0.0.1:9"),
            "either --name or --alias",
        ),
        (
            ("export", "--index", "index", "--server", "http://127.0.0.1:9", "--name", "n"),
            "did not answer",
        ),
        (("export", "--index", "index", "--alias", "a"), "--alias: expected --server"),
        (("export", "--corpus", "corpus.jsonl"), "--corpus: expected --server"),
        (("export", *SERVED, "--name", "n", "--alias", "a"), "either --name or --alias"),
        (("export", *SERVED, "--name", "n", "--remove-old"), "--remove-old: expected --alias"),
        (("export", *SERVED, "--name", "n", "--scoring", "okapi"), "scores by 'lucene'"),
        (("export", *SERVED, "--name", "n", "--analyzer", "arabic"), "'arabic'"),
        (("export", *SERVED, "--name", "n", "--replicas", "-1"), "replicas"),
        (
            ("import", "--server", "http://127.0.0.1:9", "--name", "n", "--out", "o"),
            "did not answer",
        ),
        (("import", "--server", "nonsense", "--name", "n", "--out", "o"), "nonsense"),
    ],
)
@pytest.mark.usefixtures("index")
def test_mistakes(run: Run, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not Path("o").exists()
