from __future__ import annotations

import io
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.reranker.scorers.cross_encoder import CrossEncoder
from twopass.retriever.corpus import read_documents
from twopass.retriever.index.index import BM25Index

from .conftest import Run


def search(run: Run, index: Path, *arguments: object) -> list[dict[str, Any]]:
    done = run("search", "--index", index, "--json", *arguments)
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_scores_of_both_stages(run: Run, index: Path, model: Path) -> None:
    [ranking] = search(run, index, "--model", model, "--fusion", "reranker", "cat and owl")
    hits = ranking["hits"]
    expected = BM25Index.open(index).search(["cat and owl"], 10)[0]
    assert {hit["id"]: hit["retrieval"] for hit in hits} == pytest.approx(
        dict(zip(expected.ids, expected.scores.tolist(), strict=True))
    )
    scores = CrossEncoder(model).predict([("cat and owl", hit["text"]) for hit in hits])
    assert [hit["rerank"] for hit in hits] == pytest.approx(scores.tolist(), abs=1e-5)
    assert (np.diff(scores) <= 0).all()
    assert ranking["status"]["outcome"] == "complete"
    assert ranking["seconds"]["rerank"] > 0


def test_k_depth_and_settings(run: Run, index: Path, model: Path) -> None:
    arguments = ("--model", model, "--depth", 2, "--k", 3, "--set", "fusion.weights=[1, 0]", "cat")
    [ranking] = search(run, index, *arguments)
    assert len(ranking["hits"]) == 3
    assert ranking["status"]["scored"] == 2
    assert [hit["retrieval_rank"] for hit in ranking["hits"]] == [1, 2, 3]


def test_the_index_from_the_environment_and_k_from_a_file(
    run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWOPASS_RETRIEVER__INDEX", str(index))
    (tmp_path / "mine.toml").write_text("k = 2\n")
    done = run("search", "--config", "mine.toml", "--no-rerank", "--json", "cat")
    assert len(json.loads(done.out)["hits"]) == 2


def test_a_filter(run: Run, index: Path) -> None:
    wanted = json.dumps({"range": {"year": {"gte": 2005}}})
    [ranking] = search(run, index, "--no-rerank", "--filter", wanted, "cat")
    assert {hit["id"] for hit in ranking["hits"]} == {"dog", "mouse"}


@pytest.mark.parametrize("lines", [("cat -dog",), ("cat -dog", "owl -mouse")])
def test_operators_are_read_with_a_syntax(
    run: Run, index: Path, model: Path, lines: tuple[str, ...]
) -> None:
    Path("queries.txt").write_text("\n".join(lines))
    query = lines if len(lines) == 1 else ("--queries", "queries.txt")
    rankings = search(run, index, "--model", model, "--syntax", "query", *query)
    found = BM25Index.open(index).search(lines, 10, syntax="query")
    assert [{hit["id"] for hit in ranking["hits"]} for ranking in rankings] == [
        set(hits.ids) for hits in found
    ]
    assert "dog" not in found[0].ids
    assert {ranking["status"]["outcome"] for ranking in rankings} == {"complete"}


def test_fragments_are_marked_by_the_syntax(run: Run, index: Path) -> None:
    done = run("search", "--index", index, "--no-rerank", "--syntax", "query", '"chased the cat"')
    assert "A dog chased the cat" in done.out
    assert "mouse" not in done.out


def test_no_syntax_for_another_retriever(run: Run, index: Path) -> None:
    options = ("--no-rerank", "-s", "retriever.kind=rank-bm25", "--syntax", "query")
    done = run("search", "--index", index, *options, "+cat")
    assert done.status == 2
    assert "--syntax query: expected retriever.kind bm25, found rank-bm25" in done.err


def test_another_formula_than_the_index_was_built_with(run: Run, index: Path) -> None:
    [as_built] = search(run, index, "--no-rerank", "cat")
    [other] = search(run, index, "--no-rerank", "--set", "retriever.k1=0.5", "cat")
    assert as_built["hits"][0]["retrieval"] != other["hits"][0]["retrieval"]


def test_a_pipe_gets_aligned_text(run: Run, index: Path, model: Path) -> None:
    done = run("search", "--index", index, "--model", model, "cat")
    header, *lines = done.out.splitlines()
    assert header.split() == ["rank", "was", "BM25", "rerank", "fused", "id", "text"]
    assert len(lines) == 3
    assert {line.index(" · ") > header.index("text") for line in lines if " · " in line} == {True}
    assert "\x1b" not in done.out


def test_nothing_found(run: Run, index: Path, model: Path) -> None:
    done = run("search", "--index", index, "--model", model, "zebra")
    assert (done.status, done.out, done.err) == (0, "", "nothing found\n")
    assert search(run, index, "--model", model, "zebra")[0]["hits"] == []


def test_many_queries_make_a_run(run: Run, index: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("q1\tcat\nq2\tzebra\nq3\towl\n")
    arguments = ("--queries", "queries.tsv", "--model", model, "--tag", "mine")
    done = run("search", "--index", index, *arguments)
    fields = [line.split(" ") for line in done.out.splitlines()]
    assert [(qid, q0, rank, tag) for qid, q0, _, rank, _, tag in fields] == [
        *(("q1", "Q0", rank, "mine") for rank in "123"),
        *(("q3", "Q0", rank, "mine") for rank in "12"),
    ]
    scores = [float(line[4]) for line in fields[:3]]
    assert scores == sorted(scores, reverse=True)
    run("search", "--index", index, *arguments, "--out", "run.trec")
    assert Path("run.trec").read_text() == done.out
    as_json = search(run, index, *arguments)
    assert [ranking["query_id"] for ranking in as_json] == ["q1", "q2", "q3"]
    assert [hit["id"] for hit in as_json[0]["hits"]] == [line[2] for line in fields[:3]]


def test_a_run_keeps_the_order_of_what_fusion_did_not_place(
    run: Run, index: Path, model: Path
) -> None:
    Path("q.txt").write_text("cat\n")
    arguments = ("--queries", "q.txt", "--model", model, "--depth", 1)
    lines = run("search", "--index", index, *arguments).out.splitlines()
    scores = [float(line.split()[4]) for line in lines]
    assert len(scores) == 3
    assert all(first > second for first, second in pairwise(scores))


def test_queries_from_standard_input(
    run: Run, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BufferedReader(io.BytesIO(b"cat\nowl\n"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    done = run("search", "--index", index, "--no-rerank", "--k", 1, "-")
    assert [line.split()[0] for line in done.out.splitlines()] == ["1", "2"]


def test_an_id_with_a_space_does_not_fit_into_a_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,text\na b,cat\n")
    (tmp_path / "q.txt").write_text("cat\n")
    run("index", "c.csv", "--out", "index")
    done = run("search", "--index", "index", "--no-rerank", "--queries", "q.txt")
    assert done.status == 2
    assert "document id 'a b'" in done.err


def test_documents_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,text\na,cat \x1b[31mred\x07 [bold]cat[/bold]\n")
    assert len(list(read_documents("c.csv"))) == 1
    run("index", "c.csv", "--out", "index")
    out = run("search", "--index", "index", "--no-rerank", "cat").out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]cat[/bold]" in out


def test_a_deadline(run: Run, index: Path, model: Path) -> None:
    arguments = ("search", "--index", index, "--model", model, "cat")
    late = run(*arguments, "--deadline", "1e-9")
    assert late.status == 0
    assert "failed reranking: out of time" in late.err
    assert "reranking" not in run(*arguments, "--deadline", "600").err
    assert "deadline: expected greater than 0" in run(*arguments, "--deadline", "0").err
