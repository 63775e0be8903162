"""The second stage's further parts from the command line: passages, tokens, calibration, bulk."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from twopass.reranker import CrossEncoder


@pytest.fixture
def long_index(run, tmp_path):
    text = "A cat sat on the mat. " * 12 + "Owls hunt mice at night. " + "The owl slept. " * 12
    lines = [{"_id": "long", "title": "Long", "text": text}, {"_id": "short", "text": "An owl."}]
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("index", tmp_path / "long.jsonl", "--out", tmp_path / "long").status == 0
    return tmp_path / "long"


PASSAGES = (
    *("-s", "reranker.passages.aggregation=max", "-s", "reranker.passages.overlap=2"),
    *("-s", "reranker.passages.max_passages=1"),
)


def test_a_long_documents_winning_span_is_shown(run, long_index, model):
    done = run("search", "--index", long_index, "--model", model, *PASSAGES, "--json", "owls hunt")
    assert done.status == 0, done.err
    hits = {hit["id"]: hit for hit in json.loads(done.out)["hits"]}
    span = hits["long"]["evidence"]
    assert "Owls hunt mice" in hits["long"]["text"][span["start"] : span["end"]]
    assert span["read"] == 1 < span["passages"]
    assert hits["long"]["truncated"]
    assert hits["short"]["evidence"] == {"start": 0, "end": 7, "passages": 1, "read": 1}
    table = run("search", "--index", long_index, "--model", model, *PASSAGES, "owls hunt")
    assert "Owls hunt mice" in table.out


def test_stored_tokens_change_no_score(run, corpus, tmp_path, model):
    plain, stored = tmp_path / "plain", tmp_path / "stored"
    assert run("index", corpus, "--out", plain).status == 0
    assert run("index", corpus, "--out", stored, "--tokens", model).status == 0
    assert len(list(stored.glob("tokens/*/segment-*"))) == 1
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"_id": "new", "text": "The cat chased the owl."}) + "\n")
    for index in (plain, stored):
        assert run("index", more, "--out", index, "--update").status == 0
    assert len(list(stored.glob("tokens/*/segment-*"))) == 2, "an update adds what is new"
    found = [
        json.loads(run("search", "--index", index, "--model", model, "--json", "cat owl").out)
        for index in (plain, stored)
    ]
    assert found[0]["hits"] == found[1]["hits"]
    assert len(found[0]["hits"]) == 5


@pytest.fixture
def judged(tmp_path, corpus):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus.rename(folder / "corpus.jsonl")
    queries = [{"_id": f"q{n}", "text": f"the cat and the owl {n}"} for n in range(10)]
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    (folder / "queries.jsonl").write_text(lines)
    rows = "".join(f"q{n}\t{('cat', 'owl', 'mouse')[n % 3]}\t1\n" for n in range(10))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def test_a_calibration_is_made_kept_and_applied(run, judged, index_of, model, tmp_path):
    made = tmp_path / "made.json"
    plot = tmp_path / "plot.png"
    done = run(
        *("calibrate", "--data", judged, "--model", model, "--method", "isotonic"),
        *("--out", made, "--plot", plot),
    )
    assert done.status == 0, done.err
    assert "10 of 40 candidates of 10 queries" in done.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    few = run(
        *("calibrate", "--data", judged, "--model", model, "--method", "isotonic"),
        *("--queries", 6, "--out", tmp_path / "few.json"),
    )
    assert "24 candidates of 6 queries" in few.out, few.err
    search = ("search", "--index", index_of(judged), "--model", model, "--json")
    calibrated = (*search, "-s", f"reranker.calibration={made}")
    hits = json.loads(run(*calibrated, "the cat and the owl").out)["hits"]
    assert all(0 <= hit["probability"] <= 1 for hit in hits)
    least = max(hit["probability"] for hit in hits)
    few = json.loads(run(*calibrated, "--min-score", least, "the cat and the owl").out)["hits"]
    assert [hit["id"] for hit in few] == [h["id"] for h in hits if h["probability"] >= least]
    refused = run(*search, "--min-score", "0.5", "the cat")
    assert refused.status == 2
    assert "reranker.calibration" in refused.err


@pytest.fixture
def index_of(run, tmp_path):
    def build(folder):
        assert run("index", folder, "--out", tmp_path / "index").status == 0
        return tmp_path / "index"

    return build


def test_a_run_is_reranked_from_files(run, index, corpus, model, tmp_path):
    (tmp_path / "q.tsv").write_text("a\tthe cat\nb\towls at night\n")
    search = ("search", "--index", index, "--queries", tmp_path / "q.tsv", "--k", 4)
    assert run(*search, "--no-rerank", "--out", tmp_path / "bm25.trec").status == 0
    assert run(*search, "--model", model, "--out", tmp_path / "both.trec").status == 0
    files = ("--run", tmp_path / "bm25.trec", "--queries", tmp_path / "q.tsv", "--model", model)
    done = run("rerank", *files, "--corpus", corpus, "--out", tmp_path / "new.trec", "--shard", 2)
    assert done.status == 0, done.err
    assert "new.trec: " in done.err
    places = [
        [line.split()[:4] for line in (tmp_path / name).read_text().splitlines()]
        for name in ("new.trec", "both.trec")
    ]
    assert places[0] == places[1]
    again = run("rerank", *files, "--corpus", index, "--out", tmp_path / "new.trec")
    assert again.status == 2
    assert "--overwrite" in again.err


@pytest.fixture
def encoder(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    return folder


def test_a_cascade_lets_an_encoder_choose(run, corpus, tmp_path, model, encoder):
    index = tmp_path / "embedded"
    done = run("index", corpus, "--out", index, "--embeddings", encoder)
    assert done.status == 0, done.err
    assert len(list(index.glob("embeddings/*/segment-*"))) == 1
    cascade = ("-s", f"reranker.cascade.model={encoder}", "-s", "reranker.cascade.keep=2")
    search = ("search", "--index", index, "--model", model, "--json", "the cat and the owl")
    ranking = json.loads(run(*search, *cascade).out)
    status = ranking["status"]
    assert (status["outcome"], status["scored"], status["candidates"]) == ("complete", 2, 2)
    hits = ranking["hits"]
    cheap = [hit["columns"]["cheap"] for hit in hits]
    assert [hit["rerank"] is None for hit in hits] == [False, False, True, True]
    assert min(cheap[:2]) >= max(cheap[2:])
    assert cheap[2:] == sorted(cheap[2:], reverse=True)


def test_a_cascade_lets_a_small_cross_encoder_choose(run, corpus, tmp_path, model):
    index, question = tmp_path / "plain", "the cat and the owl"
    assert run("index", corpus, "--out", index).status == 0
    cascade = ("-s", "reranker.cascade.model=twopass/tiny", "-s", "reranker.cascade.keep=2")
    search = ("search", "--index", index, "--model", model, "--json", question)
    done = run(*search, *cascade)
    assert done.status == 0, done.err
    weighed = run(*search, *cascade, "-s", "fusion.weights=[0.1, 0.2, 0.7]")
    assert json.loads(weighed.out)["hits"] == json.loads(done.out)["hits"]
    hits = json.loads(done.out)["hits"]
    assert json.loads(done.out)["status"]["candidates"] == 2
    cheap, costly = (
        CrossEncoder(name).predict([(question, hit["text"]) for hit in hits])
        for name in ("twopass/tiny", model)
    )
    np.testing.assert_allclose([hit["columns"]["cheap"] for hit in hits], cheap, atol=1e-4)
    assert min(cheap[:2]) >= max(cheap[2:])
    np.testing.assert_allclose([hit["rerank"] for hit in hits[:2]], costly[:2], atol=1e-4)
    assert [hit["rerank"] for hit in hits[2:]] == [None, None]


def test_an_update_embeds_what_is_new_by_the_encoder_that_it_was(run, corpus, tmp_path, encoder):
    index, more = tmp_path / "embedded", tmp_path / "more.jsonl"
    assert run("index", corpus, "--out", index, "--embeddings", encoder).status == 0
    for number in range(2):
        more.write_text(json.dumps({"_id": "new", "text": f"The owl chased {number} cats."}) + "\n")
        done = run("index", more, "--out", index, "--update")
        assert done.status == 0, done.err
        assert len(list(index.glob("embeddings/*/segment-*"))) == 2, "other weights: left alone"
        assert ("is missing or has changed" in done.err) == (number == 1)
        weights = encoder / "model.safetensors"
        tensors = load_file(weights)
        save_file({name: 2 * values for name, values in tensors.items()}, weights)


def test_the_calibration_of_other_weights_is_refused(run, index, model, judged, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    fitted = tmp_path / "fitted.json"
    make = ("calibrate", "--data", judged, "--model", copy, "--method", "isotonic", "--out", fitted)
    assert run(*make).status == 0
    setting = ("-s", f"reranker.calibration={fitted}")
    search = ("search", "--index", index, "--model", copy, *setting, "--min-score", "0", "the cat")
    assert run(*search).status == 0
    weights = copy / "model.safetensors"
    save_file({name: 2 * values for name, values in load_file(weights).items()}, weights)
    done = run(*search)
    assert done.status == 2
    assert "run 'twopass calibrate' again" in done.err


def test_the_calibration_of_another_model_is_refused(run, index, model, tmp_path):
    about = {"format": 1, "kind": "platt", "parameters": {"slope": 1, "intercept": 0}}
    about |= {"from_probabilities": False, "scorer": "another/model"}
    (tmp_path / "other.json").write_text(json.dumps(about))
    setting = f"reranker.calibration={tmp_path / 'other.json'}"
    done = run("search", "--index", index, "--model", model, "-s", setting, "cat")
    assert done.status == 2
    assert "another/model" in done.err
