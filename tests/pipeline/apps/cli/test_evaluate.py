from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from twopass.pipeline.evaluation import measure, read_run
from twopass.retriever.corpus import BeirFolder, read_qrels

from .conftest import DOCUMENTS, Run, write_corpus


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "animals"
    (folder / "qrels").mkdir(parents=True)
    write_corpus(folder / "corpus.jsonl")
    write_corpus(
        folder / "queries.jsonl",
        [{"_id": "1", "text": "cat"}, {"_id": "2", "text": "mice"}, {"_id": "3", "text": "x"}],
    )
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n1\tmouse\t1\n2\towl\t1\n2\tmouse\t1\n"
    )
    return folder


def test_every_system_with_its_difference(run: Run, collection: Path, model: Path) -> None:
    arguments = ("--model", model, "--fusion", "weighted", "rrf", "--measures", "nDCG@10", "P@1")
    done = run("evaluate", "--data", collection, *arguments)
    assert done.status == 0, done.err
    header, *systems = done.out.split("\n\n")[0].splitlines()
    assert header.split() == ["nDCG@10", "P@1"]
    names = ["BM25", "cross-encoder", "fusion: weighted", "fusion: rrf"]
    assert [line[:16].strip() for line in systems] == names
    assert [line.count("+") + line.count("-0.") for line in systems] == [0, 2, 2, 2]
    assert "2 queries" in done.out
    assert "differences to BM25" in done.out


def test_a_sample_says_that_it_is_one(run: Run, collection: Path) -> None:
    done = run("evaluate", "--data", collection, "--no-rerank", "--queries", 1)
    assert done.status == 0, done.err
    assert "1 queries drawn at random (seed 12)" in done.out


def test_saved_runs_say_what_was_measured(run: Run, collection: Path, model: Path) -> None:
    arguments = ("--model", model, "--save-runs", "runs", "--json")
    evaluation = json.loads(run("evaluate", "--data", collection, *arguments).out)
    qrels = read_qrels(BeirFolder(collection).qrels("test"))
    files = ["BM25.trec", "cross-encoder.trec", "fusion-weighted.trec"]
    assert sorted(path.name for path in Path("runs").iterdir()) == files
    for system, file in zip(evaluation["systems"], files, strict=True):
        found = {query: list(ids) for query, (ids, _) in read_run(Path("runs") / file).items()}
        [ndcg] = measure(found, qrels, ["nDCG@10"]).mean(axis=1)
        assert system["nDCG@10"]["value"] == pytest.approx(ndcg)


def test_an_index_that_is_there(run: Run, collection: Path, tmp_path: Path) -> None:
    one = write_corpus(tmp_path / "one.jsonl", DOCUMENTS[3:])
    run("index", one, "--out", "index")
    arguments = ("--no-rerank", "--index", "index", "--json")
    evaluation = json.loads(run("evaluate", "--data", collection, *arguments).out)
    assert evaluation["systems"][0]["nDCG@10"]["value"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "dev"), "expected the split 'dev'"),
        (("--measures", "goodness"), "unknown measure 'goodness'"),
        (("--fusion", "best"), "unknown fusion method 'best'"),
    ],
)
def test_mistakes(run: Run, collection: Path, arguments: tuple[str, str], message: str) -> None:
    done = run("evaluate", "--data", collection, "--no-rerank", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


@pytest.mark.parametrize(("name", "published"), [("scifact", 0.6789), ("nfcorpus", 0.3218)])
def test_published_figures(
    run: Run, data: Callable[[str], Path], name: str, published: float
) -> None:
    arguments = ("--no-rerank", "--k1", 0.9, "--b", 0.4, "--json")
    [system] = json.loads(run("evaluate", "--data", data(name), *arguments).out)["systems"]
    assert system["nDCG@10"]["value"] == pytest.approx(published, abs=0.003)


def test_variants_side_by_side(run: Run, collection: Path, model: Path) -> None:
    variants = ("--variant", "rrf: fusion.method=rrf", "--variant", "b0: retriever.b=0 depth=1")
    done = run("evaluate", "--data", collection, "--model", model, *variants, "--json")
    assert done.status == 0, done.err
    assert [system["system"] for system in json.loads(done.out)["systems"]] == [
        *("BM25", "cross-encoder", "fusion: weighted"),
        *("rrf: cross-encoder", "rrf: fusion: rrf"),
        *("b0: BM25", "b0: cross-encoder", "b0: fusion: weighted"),
    ]


def test_several_collections_and_their_mean(run: Run, collection: Path) -> None:
    other = collection.with_name("others")
    shutil.copytree(collection, other)
    write_corpus(other / "corpus.jsonl", DOCUMENTS[1:])
    arguments = ("--data", collection, other, "--no-rerank")
    found = json.loads(run("evaluate", *arguments, "--json").out)
    values = [found["sets"][name]["systems"][0]["MAP"]["value"] for name in ("animals", "others")]
    assert found["mean"][0]["MAP"]["value"] == pytest.approx(sum(values) / 2)
    text = run("evaluate", *arguments).out
    assert text.startswith("animals\n")
    assert "\nothers\n" in text
    assert "\nmean of 2 sets\n" in text


def test_runs_instead_of_searches(run: Run, collection: Path, model: Path) -> None:
    saved = run("evaluate", "--data", collection, "--model", model, "--save-runs", "runs", "--json")
    trec = "1 0 mouse 1\n2 0 owl 1\n2 0 mouse 1\n"
    Path("qrels.txt").write_text(trec)
    runs = ("--runs", "runs/BM25.trec", "runs/cross-encoder.trec")
    done = run("evaluate", *runs, "--qrels", "qrels.txt", "--fusion", "rrf", "--json")
    assert done.status == 0, done.err
    before, after = json.loads(saved.out), json.loads(done.out)
    assert [system["system"] for system in after["systems"]] == [
        *("BM25", "cross-encoder", "fusion: rrf")
    ]
    for name in ("BM25", "cross-encoder"):
        assert after["values"][name] == before["values"][name]
    assert "expected the judgements" in run("evaluate", *runs).err


def test_missed_documents_added(run: Run, collection: Path, model: Path) -> None:
    arguments = ("evaluate", "--data", collection, "--model", model, "--depth", 1)
    assert "were not added" in run(*arguments).out
    done = run(*arguments, "--add-missed")
    assert "were added to its candidates" in done.out
    plain = json.loads(run(*arguments, "--add-missed", "--json").out)
    recall = plain["systems"][1]["Recall@100"]["value"]
    assert (plain["missed_added"], recall) == (True, 1.0)


def test_cases_and_plots(run: Run, collection: Path, model: Path) -> None:
    arguments = ("--model", model, "--fusion", "reranker", "--cases", 2, "--plot", "plots")
    done = run("evaluate", "--data", collection, *arguments)
    assert done.status == 0, done.err
    assert " over BM25 by fusion: reranker" in done.out
    names = {path.name for path in Path("plots").iterdir()}
    assert names == {f"{plot}.{kind}" for plot in ("depth", "gains") for kind in ("png", "svg")}


@pytest.mark.parametrize("variant", ["tiny", "tiny:", "tiny: depth", ": depth=3"])
def test_a_variant_that_is_none(run: Run, collection: Path, variant: str) -> None:
    done = run("evaluate", "--data", collection, "--variant", variant)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "expected 'NAME: setting=value ...'" in done.err
