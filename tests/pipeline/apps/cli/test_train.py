"""One command trains a small model, measures it, and writes folder, card, log and plot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from .conftest import Run, write_corpus

pytestmark = pytest.mark.slow

TOWNS = ["Aldra", "Bormin", "Celdo", "Durvan", "Estrel", "Fenwick", "Galdo", "Hestia"]


@pytest.fixture
def towns(tmp_path: Path) -> Path:
    folder = tmp_path / "towns"
    (folder / "qrels").mkdir(parents=True)
    texts = ("the cat sat on the mat", "owls hunt mice at night")
    documents = [
        {"_id": f"{town}{at}", "text": f"{town}: {text}"}
        for town in TOWNS
        for at, text in enumerate(texts)
    ]
    write_corpus(folder / "corpus.jsonl", documents)
    queries = [{"_id": town, "text": f"cat in {town}"} for town in TOWNS]
    write_corpus(folder / "queries.jsonl", queries)
    for split, part in (("train", TOWNS[:6]), ("dev", TOWNS[6:])):
        rows = "".join(f"{town}\t{town}0\t1\n" for town in part)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def test_model_card_log_and_plot(run: Run, towns: Path, model: Path) -> None:
    command = ("train", "--data", towns, "--model", model, "--recipe", "listwise", "--out", "out")
    options = ("--negatives", "2", "--batch-size", "2", "-s", "train.recipe.log_every=1")
    done = run(*command, *options, "--seed", "3")
    assert done.status == 0, done.err
    assert "towns/dev, 2 queries, top 50 rescored" in done.out
    assert all(name in done.out for name in ("BM25", "cross-encoder", "fusion", "nDCG@10"))
    assert "step 3/3" in done.err
    card = Path("out/README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert metadata["pipeline_tag"] == "text-ranking"
    assert "loss:ListSoftmax" in metadata["tags"]
    [entry] = metadata["model-index"]
    assert {metric["type"] for r in entry["results"] for metric in r["metrics"]} == {
        "ndcg_at_10",
        "map",
        "mrr_at_10",
    }
    assert "log softmax" in body
    assert f"twopass train --data {towns}" in body
    assert "`seed` | `3`" in body
    assert "towns/train | training | 6 | 18 | 33.3%" in body
    log = [json.loads(line) for line in Path("out/training/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]
    assert Path("out/training/training.svg").stat().st_size > 1000
    found = run("evaluate", "--data", towns, "--split", "dev", "--model", "out", "--depth", "50")
    assert found.status == 0, found.err
    again = run(*command, *options, "--seed", "3")
    assert "using the examples in" in again.err
    assert again.out == done.out


def test_a_tiny_model_gains_on_real_questions(run: Run, data: Callable[[str], Path]) -> None:
    """Built layers, 300 train questions and under a minute of one core: better on dev ones."""
    done = run(
        *("train", "--data", data("nq-qed"), "--model", "twopass/default", "--out", "out"),
        *("--hidden", "128", "--layers", "2", "--recipe", "listwise", "--learning-rate", "1e-3"),
        *("--queries", "300", "--dev-queries", "40", "--batch-size", "16", "--max-length", "96"),
        *("-s", "train.dev_depth=20"),
    )
    assert done.status == 0, done.err
    entries = [json.loads(line) for line in Path("out/training/log.jsonl").read_text().splitlines()]
    before, after = (entry for entry in entries if "nDCG@10" in entry)
    assert before["step"] == 0
    assert after["nDCG@10"] > before["nDCG@10"] + 0.1
    assert after["nDCG@10 fused"] > before["nDCG@10 fused"]
    assert f"before training:  nDCG@10 {before['nDCG@10']:.4f}" in done.err
    assert f"| 0 |  | {before['nDCG@10']:.4f} |" in Path("out/README.md").read_text(
        encoding="utf-8"
    )
    assert Path("out/training/training.svg").stat().st_size > 1000


def test_two_processes_write_one_model(run: Run, towns: Path, model: Path) -> None:
    """Each would write and speak, were it not for the first one; the weights are one process's."""
    common = (
        *("train", "--data", str(towns), "--model", str(model), "--recipe", "listwise"),
        *("--batch-size", "3", "-s", "train.recipe.dropout=0", "-s", "train.recipe.log_every=1"),
    )
    program = "import sys; from twopass.pipeline.apps.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *common, "--out", "two", "--processes", "2"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "WORLD_SIZE"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("towns/dev, 2 queries") == 1
    assert done.stderr.count("training: 6 lists, 2 steps, 2 processes") == 1
    assert run(*common, "--out", "one").status == 0
    one, two = (load_file(f"{name}/model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=2e-3)  # stored in half precision
    logs = [Path(f"{name}/training/log.jsonl").read_text() for name in ("one", "two")]
    assert logs[0].count("\n") == logs[1].count("\n")


def test_a_mistake_ends_all_processes(towns: Path, model: Path) -> None:
    program = "import sys; from twopass.pipeline.apps.cli import main; sys.exit(main(sys.argv[2:]))"
    command = ("train", "--data", str(towns), "--split", "none", "--model", str(model))
    options = ("--out", "out", "--processes", "2")
    done = subprocess.run(
        [sys.executable, "-c", program, "not-for-twopass", *command, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "twopass: error: " in done.stderr
    assert "none.tsv" in done.stderr  # so they were given the command line that main was


def test_examples_from_a_file_and_a_teacher(run: Run, model: Path, tmp_path: Path) -> None:
    records = [
        {"query": "cat", "positive": "the cat sat", "negatives": ["owls hunt", "a dog"]},
        {"query": "owl", "positive": "owls hunt", "negatives": ["the cat sat", "a dog"]},
    ]
    path = write_corpus(tmp_path / "examples.jsonl", records)
    done = run(
        *("train", "--data", path, "--model", model, "--teacher", model, "--recipe", "distill"),
        *("--out", "out"),
    )
    assert done.status == 0, done.err
    assert "teachers score 6 pairs" in done.err
    assert "KL(q" in Path("out/README.md").read_text(encoding="utf-8")


def test_emissions(run: Run, towns: Path, model: Path) -> None:
    pytest.importorskip("codecarbon")
    arguments = ("train", "--data", towns, "--model", model, "--out", "out", "--country", "FRA")
    done = run(*arguments)
    assert done.status == 0, done.err
    front = Path("out/README.md").read_text(encoding="utf-8").split("---\n", 2)[1]
    measured = yaml.safe_load(front)["co2_eq_emissions"]
    assert measured["emissions"] > 0
    assert measured["energy_consumed"] > 0
    assert measured["source"] == "codecarbon"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a folder or a file with --data"),
        (("--data", "towns", "--split", "test"), "expected the split 'test'"),
        (("--data", "towns", "--recipe", "best"), "expected one of default, gooaq-bce"),
        (("--data", "towns", "--epochs", "many"), "train.recipe.epochs: expected"),
        (("--data", "towns", "--model", "nowhere/none"), "nowhere/none"),
        (("--data", "towns", "--country", "Atlantis"), "ISO code of three letters"),
    ],
)
def test_mistakes(run: Run, towns: Path, model: Path, arguments: tuple[str, ...], message: str):
    own = () if "--model" in arguments else ("--model", model)
    done = run("train", "--out", "out", *own, *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]
