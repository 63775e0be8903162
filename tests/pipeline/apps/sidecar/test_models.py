"""Several models in one sidecar: each request is scored by the one that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bert import save_tiny_bert

from twopass.pipeline.apps.settings import Settings, load_settings
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.pipeline.errors import SettingsError
from twopass.reranker import CrossEncoder
from twopass.reranker.scorers import activations
from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.index import BM25Index

from .running import Running, running

QUERY = "the cat"
TEXTS = ["a dog chased the cat", "owls hunt mice at night", "the cat sat on the mat", "warm"]

# path, the name of the documents' field, where the results are, the score's name
DIALECTS = {
    "cohere": ("/v2/rerank", "documents", "results", "relevance_score"),
    "jina": ("/jina/v1/rerank", "documents", "results", "relevance_score"),
    "vllm": ("/vllm/rerank", "documents", "results", "relevance_score"),
    "infinity": ("/infinity/rerank", "documents", "results", "relevance_score"),
    "tei": ("/rerank", "texts", None, "score"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two untrained models that disagree, and an index."""
    folder = tmp_path_factory.mktemp("models")
    words = " ".join(TEXTS).split()
    found = {
        name: save_tiny_bert(folder / name, sorted(set(words)), max_length=32, seed=seed)
        for name, seed in (("first", 1), ("other", 2))
    }
    documents = (Document(f"d{place}", text) for place, text in enumerate(TEXTS))
    BM25Index.build(documents, folder / "index")
    return {**found, "index": folder / "index"}


@pytest.fixture(scope="module")
def server(folders: dict[str, Path]) -> Iterator[Running]:
    settings = Settings.model_validate(
        {
            "retriever": {"index": str(folders["index"])},
            "reranker": {"model": str(folders["first"])},
            "serve": {"name": "first", "models": {"other": str(folders["other"])}},
        }
    )
    with running(Sidecar.open(settings)) as server:
        yield server


@pytest.fixture(scope="module")
def expected(folders: dict[str, Path]) -> dict[str, NDArray[np.float32]]:
    """What each model says of the texts, as logits."""
    pairs = [(QUERY, text) for text in TEXTS]
    found = {
        name: CrossEncoder(str(folders[name]), device="cpu").predict(
            pairs, activation_fn=lambda logits: logits
        )
        for name in ("first", "other")
    }
    assert list(np.argsort(found["first"])) != list(np.argsort(found["other"]))
    return found


def search(server: Running, **body: Any) -> Any:
    answer = server.client.post("/search", json={"query": QUERY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("asked", "meant"), [({}, "first"), ({"model": "other"}, "other")])
def test_a_search_is_scored_by_the_one_it_names(
    server: Running,
    expected: dict[str, NDArray[np.float32]],
    asked: dict[str, str],
    meant: str,
) -> None:
    found = search(server, fusion="reranker", **asked)
    assert found["model"] == meant
    assert found["hits"]
    wanted = expected[meant]
    for hit in found["hits"]:
        place = int(hit["id"][1:])
        score = hit["rerank"]
        np.testing.assert_allclose(score, activations.sigmoid(wanted[place]), rtol=1e-4)
    simple = server.client.get("/search", params={"q": QUERY, **asked}).json()
    assert simple["model"] == meant


def test_none_is_the_first_stage_alone(server: Running) -> None:
    found = search(server, model="none")
    assert found["model"] == "none"
    assert found["status"]["outcome"] == "skipped"
    assert [hit["rerank"] for hit in found["hits"]] == [None] * len(found["hits"])
    assert [hit["retrieval_rank"] for hit in found["hits"]] == [1, 2]


def test_where_reranking_is_off_none_is_the_default(folders: dict[str, Path]) -> None:
    values = {
        "rerank": False,
        "retriever": {"index": str(folders["index"])},
        "reranker": {"model": str(folders["first"])},
    }
    with running(Sidecar.open(Settings.model_validate(values))) as server:
        assert search(server)["model"] == "none"
        asked = search(server, model=str(folders["first"]))
        assert asked["status"]["outcome"] == "complete"
        assert server.client.get("/page/about").json()["model"] == "none"


def test_a_search_that_names_no_model_of_ours_is_told_their_names(server: Running) -> None:
    answer = server.client.post("/search", json={"query": QUERY, "model": "third"})
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert message == "model: expected one of first, other, found 'third'"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("named", "meant"), [("other", "other"), ("first", "first"), ("rerank-v3.5", "first")]
)
def test_rerank_clients_name_one_or_get_the_default(
    server: Running,
    expected: dict[str, NDArray[np.float32]],
    dialect: str,
    named: str,
    meant: str,
) -> None:
    path, field, inside, score = DIALECTS[dialect]
    body = {"query": QUERY, "model": named, field: TEXTS}
    answer = server.client.post(path, json=body).json()
    results = answer[inside] if inside else answer
    found = {each["index"]: each[score] for each in results}
    wanted = activations.sigmoid(expected[meant])
    np.testing.assert_allclose([found[place] for place in range(len(TEXTS))], wanted, rtol=1e-4)


def test_elasticsearchs_endpoint_has_the_models_name(
    server: Running, expected: dict[str, NDArray[np.float32]]
) -> None:
    for named, meant in (("other", "other"), ("any", "first")):
        path = f"/_inference/rerank/{named}"
        answer = server.client.post(path, json={"query": QUERY, "input": TEXTS}).json()
        best = int(np.argmax(expected[meant]))
        assert answer["rerank"][0]["index"] == best


def test_metrics_are_by_model_and_no_caller_makes_a_series(server: Running) -> None:
    search(server, model="other")
    server.client.post("/v2/rerank", json={"query": QUERY, "documents": TEXTS, "model": "made-up"})
    text = server.client.get("/metrics").text
    for name in ("twopass_pairs_count", "twopass_batches_total", "twopass_queue_pairs"):
        series = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
        assert {line.rpartition(" ")[0] for line in series} == {
            f'{name}{{model="{model}"}}' for model in ("first", "other")
        }


@pytest.mark.parametrize("name", ["none", "twopass/default"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"serve.models: expected other names than {name}"):
        load_settings({f"serve.models.{name}": "folder"})


@pytest.mark.parametrize("place", ["proxy.rerank.model", "proxy.indices.articles.model"])
def test_the_proxys_model_must_be_one_of_them(place: str) -> None:
    with pytest.raises(SettingsError, match=r"expected a model of serve\.models or 'twopass/def"):
        load_settings({place: "third"})
    load_settings({place: "third", "serve.models.third": "folder"})
