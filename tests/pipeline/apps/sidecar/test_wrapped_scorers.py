"""The same request gets the same answer, headers and usage, whatever wraps the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scorer_stacks import STACKS, stacked

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.reranker import CrossEncoder

from .running import Running, running

BODY = {
    "query": "the cat",
    "documents": [
        "a dog chased the cat around the garden at night near the river",
        "owls hunt mice at night",
        "warm",
        "the cat sat on the mat",
    ],
    "max_tokens_per_doc": 5,
}


HEADERS = ("content-type", "x-twopass-status", "x-twopass-reason", "x-twopass-truncated")


def answers(server: Running, name: str | None = None) -> dict[str, Any]:
    """What callers of a model see of it, without what differs from request to request."""
    answer = server.client.post("/v2/rerank", json={**BODY, "model": name})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    raw = {"query": BODY["query"], "texts": BODY["documents"], "raw_scores": True, "model": name}
    scores = server.client.post("/tei/rerank", json=raw).json()
    return {
        "order": [each["index"] for each in content["results"]],
        "relevance": [each["relevance_score"] for each in content["results"]],
        "logits": [each["score"] for each in scores],
        "meta": content["meta"],
        "headers": {each: answer.headers.get(each) for each in HEADERS},
    }


@pytest.fixture(scope="module", params=["bounded", "logits"])
def bare(request: pytest.FixtureRequest, model: Path) -> CrossEncoder:
    activation = None if request.param == "bounded" else lambda logits: logits
    return CrossEncoder(model, device="cpu", activation_fn=activation)


@pytest.fixture(scope="module")
def server(bare: CrossEncoder) -> Iterator[Running]:
    """The scorer itself as the default model, and each stack by its name."""
    with ExitStack() as closing:
        others = {" of ".join(s): closing.enter_context(stacked(s, bare)) for s in STACKS}
        yield closing.enter_context(running(Sidecar(Settings(), bare, others=others)))


@pytest.mark.parametrize("name", list(map(" of ".join, STACKS)))
def test_a_stack_answers_as_its_scorer(server: Running, bare: CrossEncoder, name: str) -> None:
    expected = answers(server)
    assert expected["meta"]["tokens"]["input_tokens"] > 0
    assert "2 of 4 documents were cut" in expected["meta"]["warnings"][0]
    found = answers(server, name)
    for numbers in ("relevance", "logits"):
        assert found.pop(numbers) == pytest.approx(expected.pop(numbers), rel=1e-3)
    assert found == expected
    model = server.sidecar.models.named(name)
    assert model.scorer.max_length == bare.max_length
    assert model.scale.probabilities is bare.bounded


def test_a_safety_net_changes_no_answer(model: Path) -> None:
    found = []
    for fallback in ((), ("none",)):
        own = {"model": str(model), "device": "cpu", "fallback": fallback}
        with running(Sidecar.open(Settings.model_validate({"reranker": own}))) as server:
            found.append((answers(server), server.client.get("/info").json()))
    assert found[0] == found[1]
    assert found[1][0]["meta"]["warnings"]
    assert found[1][0]["meta"]["tokens"]["input_tokens"] > 0
    assert found[1][1]["max_input_length"] == 32
