from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from twopass.retriever.corpus import BeirFolder, read_qrels, read_queries
from twopass.retriever.errors import CorpusError, DuplicateIdError

HEADER = "query-id\tcorpus-id\tscore\n"


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "split", "queries", "judged", "judgements"),
    [
        ("scifact", "test", 1_109, 300, 339),
        ("scifact", "train", 1_109, 809, 919),
        ("nfcorpus", "test", 3_237, 323, 12_334),
        ("nfcorpus", "train", 3_237, 2_590, 110_575),
    ],
)
def test_published_counts(
    data: Callable[[str], Path], name: str, split: str, queries: int, judged: int, judgements: int
) -> None:
    folder = BeirFolder(data(name))
    texts = read_queries(folder.queries)
    qrels = read_qrels(folder.qrels(split))
    assert (len(texts), len(qrels)) == (queries, judged)
    assert sum(map(len, qrels.values())) == judgements
    assert qrels.keys() <= texts.keys()


def test_an_unknown_split_names_those_that_are_there(data: Callable[[str], Path]) -> None:
    with pytest.raises(CorpusError, match=r"the split 'tset' .* found: dev, test, train"):
        BeirFolder(data("nfcorpus")).qrels("tset")


def test_a_folder_that_is_not_beir(tmp_path: Path) -> None:
    assert not BeirFolder.looks_like(tmp_path)
    with pytest.raises(CorpusError, match=r"queries\.jsonl or queries\.jsonl\.gz, found neither"):
        _ = BeirFolder(tmp_path).queries


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected queries, found none"),
        ('{"_id": "q"}\n', "line 1: expected the field 'text'"),
        ('{"_id": "q", "text": "x"}\n{', "line 2: expected a JSON object"),
        ("q1\tx\n\nq2 y\n", "line 3: expected an id, a tab and a query, found 'q2 y'"),
        ("\tx\n", "line 1: expected an id"),
    ],
)
def test_bad_queries(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_queries(write(tmp_path, content))


def test_a_query_id_that_came_before(tmp_path: Path) -> None:
    with pytest.raises(DuplicateIdError, match="line 2: the query id 'q' came before"):
        read_queries(write(tmp_path, '{"_id": "q", "text": "x"}\n' * 2))


@pytest.mark.parametrize(
    ("content", "queries"),
    [
        ('{"_id": 1, "text": "x"}\n\n{"_id": "b", "text": "y\\tz"}', {"1": "x", "b": "y\tz"}),
        ("q1\tx y\r\nq2\tz\tz\n", {"q1": "x y", "q2": "z\tz"}),
        ("x y\n\nz\n", {"1": "x y", "3": "z"}),
    ],
)
def test_the_first_line_tells_the_form(
    tmp_path: Path, content: str, queries: dict[str, str]
) -> None:
    assert read_queries(write(tmp_path, content)) == queries


def test_queries_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BufferedReader(io.BytesIO("café\n".encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    assert read_queries("-") == {"1": "café"}


def test_qrels_keep_grades_and_order(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEADER}q2\td1\t2\nq1\td1\t0\nq2\td0\t-1\n")
    assert read_qrels(path) == {"q2": {"d1": 2, "d0": -1}, "q1": {"d1": 0}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected judgements, found none"),
        (HEADER, "expected judgements, found none"),
        ("q\td\t1\n", "line 1: expected the header"),
        (f"{HEADER}q\td\n", "line 2: expected query-id, corpus-id and score"),
        (f"{HEADER}q\td\thigh\n", "line 2: expected a whole number as score, found 'high'"),
        (f"{HEADER}q\td\t1\nq\td\t1\n", "line 3: 'd' was judged before"),
    ],
)
def test_bad_qrels(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_qrels(write(tmp_path, content))
