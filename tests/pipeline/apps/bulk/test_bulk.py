"""Runs from files: nothing is lost or doubled, whenever the process dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from twopass.pipeline.apps.bulk.inputs import find_shards, make_texts, open_texts
from twopass.pipeline.errors import BulkError
from twopass.pipeline.evaluation.runs import read_run
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

SCRIPT = Path(__file__).with_name("reranking.py")
ENOUGH = 10**9
DOCUMENTS = [Document(f"d{n}", f"text {n} {'xyz' * (n % 7)}", title=f"T{n}") for n in range(60)]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Write a run of 40 queries of 1 to 12 documents each, their texts, and the corpus."""
    lines, queries = [], []
    for q in range(40):
        queries.append(f"q{q}\tquery number {q}")
        lines += [
            f"q{q} Q0 d{(7 * q + rank) % 60} {rank + 1} {9 - rank / 2} bm25"
            for rank in range(1 + q % 12)
        ]
    (tmp_path / "run.trec").write_text("\n".join(lines) + "\n")
    (tmp_path / "queries.tsv").write_text("\n".join(queries) + "\n")
    make_texts(DOCUMENTS, tmp_path / "texts.sqlite")
    return {
        "run": tmp_path / "run.trec",
        "texts": tmp_path / "texts.sqlite",
        "queries": tmp_path / "queries.tsv",
        "out": tmp_path / "out.trec",
    }


def rerank(files, *, shard=20, die_after=ENOUGH, **changed):
    paths = {**files, **changed}
    return execute(SCRIPT, *paths.values(), shard, die_after)


def execute(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def parts(files) -> int:
    return len(list(Path(f"{files['out']}.parts").glob("part-*")))


def test_a_killed_job_goes_on_and_loses_and_doubles_nothing(files, tmp_path):
    whole = rerank(files, out=tmp_path / "whole.trec")
    assert whole.returncode == 0, whole.stderr
    expected = (tmp_path / "whole.trec").read_bytes()
    pairs = len(files["run"].read_text().splitlines())
    assert len(expected.splitlines()) == pairs
    assert rerank(files, die_after=70).returncode == -9
    first = parts(files)
    assert first > 0
    assert not files["out"].exists()
    assert rerank(files, die_after=70).returncode == -9, "killed twice"
    assert parts(files) > first
    done = rerank(files)
    assert done.returncode == 0, done.stderr
    assert files["out"].read_bytes() == expected
    assert not Path(f"{files['out']}.parts").exists()
    total, before = map(int, done.stdout.split())
    assert total == pairs
    assert 0 < before < pairs, "what was done was not done again"


def test_the_result_is_the_run_in_a_new_order(files):
    assert rerank(files, shard=1).returncode == 0
    old, new = read_run(files["run"]), read_run(files["out"])
    assert list(old) == list(new)
    assert all(sorted(old[query].ids) == sorted(new[query].ids) for query in old)
    assert any(list(old[query].ids) != list(new[query].ids) for query in old)


def test_an_index_is_a_corpus_too(files, tmp_path):
    BM25Index.build(DOCUMENTS, tmp_path / "index").close()
    assert rerank(files, out=tmp_path / "one.trec").returncode == 0
    assert rerank(files, texts=tmp_path / "index").returncode == 0
    assert files["out"].read_bytes() == (tmp_path / "one.trec").read_bytes()


def test_another_jobs_shards_are_not_mixed_in(files):
    assert rerank(files, die_after=70).returncode == -9
    other = rerank(files, shard=30)
    assert "the shards of this job" in other.stderr
    assert not files["out"].exists()


def test_a_document_without_a_text_is_named(files):
    with files["run"].open("a") as run:
        run.write("q40 Q0 nowhere 1 1.0 bm25\n")
    with files["queries"].open("a") as queries:
        queries.write("q40\tanother\n")
    done = rerank(files)
    assert "document 'nowhere'" in done.stderr
    assert parts(files) > 0, "the shards before it stay done"


@pytest.mark.parametrize("size", [1, 7, 30, 10_000])
def test_shards_cut_between_queries_and_cover_the_file(files, size):
    text = files["run"].read_bytes()
    shards = list(find_shards(files["run"], size))
    assert b"".join(text[shard.start : shard.stop] for shard in shards) == text
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert all(shard.pairs >= size for shard in shards[:-1])
    lines = text.splitlines()
    queries = [line.split()[0] for line in lines]
    for shard in shards:
        own = text[shard.start : shard.stop].splitlines()
        assert len(own) == shard.pairs
        assert own[0] == lines[shard.line - 1]
        others = queries[: shard.line - 1] + queries[shard.line - 1 + shard.pairs :]
        assert not {line.split()[0] for line in own} & set(others)


def test_a_query_that_comes_back_is_told(tmp_path):
    (tmp_path / "run").write_text("a Q0 d 1 1 t\nb Q0 d 1 1 t\na Q0 e 1 1 t\n")
    with pytest.raises(BulkError, match=r"line 3.*sort"):
        list(find_shards(tmp_path / "run", 10))


def test_texts_are_found_by_id_whatever_it_is(tmp_path):
    ids = ["a", "A", "ä", "a b", "'; DROP TABLE texts; --", *(f"n{n}" for n in range(1200))]
    make_texts((Document(id, f"text of {id}") for id in ids), tmp_path / "t.sqlite")
    found = open_texts(tmp_path / "t.sqlite").get(ids[::-1])
    assert found == [f"text of {id}" for id in ids[::-1]]
    with pytest.raises(BulkError, match="'b'"):
        open_texts(tmp_path / "t.sqlite").get(["a", "b"])


def test_an_id_that_comes_twice_is_told(tmp_path):
    with pytest.raises(BulkError, match="could not be written"):
        make_texts([Document("a", "x"), Document("a", "y")], tmp_path / "t.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ray_does_a_lost_workers_shard_again(files, tmp_path):
    pytest.importorskip("ray")
    assert rerank(files, out=tmp_path / "one.trec").returncode == 0
    script = Path(__file__).with_name("reranking_on_ray.py")
    done = execute(script, *files.values(), 20, tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists(), "a worker was killed"
    assert files["out"].read_bytes() == (tmp_path / "one.trec").read_bytes()
