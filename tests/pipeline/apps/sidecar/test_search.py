"""``/search``: both stages, and the first alone whatever becomes of the second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from twopass.pipeline.apps.assembly import (
    build_cheap_scorer,
    build_final_scorer,
    build_fusion,
    build_scorer,
)
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.pipeline.fusion import fusion
from twopass.pipeline.search import SearchPipeline
from twopass.reranker.contract.errors import OverloadedError, RerankerError
from twopass.retriever.index.index import BM25Index

from .running import Running, running, settings

QUERY = "cat hunts mice"
_WARM = "slower than the others"


def ask(server: Running, **body: Any) -> Any:
    answer = server.client.post("/search", json={"query": QUERY, **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-twopass-status"] == answer.json()["status"]["outcome"]
    return answer.json()


class TestBothStages:
    def test_the_answer_is_the_pipelines(self, server: Running, animals: BM25Index) -> None:
        sidecar = server.sidecar
        pipeline = SearchPipeline(
            animals, sidecar.models.default.scorer, build_fusion(sidecar.settings)
        )
        wanted = pipeline.search(QUERY, 5, depth=20)
        found = ask(server, k=5, depth=20)
        assert [hit["id"] for hit in found["hits"]] == list(wanted.ids)
        for name in ("retrieval", "rerank", "fused"):
            values = [hit[name] for hit in found["hits"]]
            np.testing.assert_allclose(values, getattr(wanted, name), rtol=1e-4)
        assert found["status"]["outcome"] == "complete"
        assert found["seconds"]["total"] > 0

    def test_get_is_the_same_with_the_defaults(self, server: Running) -> None:
        simple = server.client.get("/search", params={"q": QUERY, "k": 3}).json()
        assert [h["id"] for h in simple["hits"]] == [h["id"] for h in ask(server, k=3)["hits"]]

    def test_fusion_of_a_request(self, server: Running, animals: BM25Index) -> None:
        pipeline = SearchPipeline(
            animals, server.sidecar.models.default.scorer, fusion("rrf", k=10)
        )
        wanted = list(pipeline.search(QUERY, 5).ids)
        found = ask(server, k=5, fusion={"method": "rrf", "k": 10})
        assert [hit["id"] for hit in found["hits"]] == wanted

    def test_what_else_may_be_asked_for(self, server: Running) -> None:
        [hit] = ask(server, k=1, highlight=True, explain=True, text=False)["hits"]
        assert "text" not in hit
        assert any("<em>" in each for each in hit["highlights"])
        assert hit["explanation"]

    @pytest.mark.parametrize(
        "body",
        [
            {"k": 0},
            {"k": "many"},
            {"depth": -1},
            {"deadline": 0},
            {"fusion": "none such"},
            {"fusion": {"k": 1}},
            {"fusion": {"method": "rrf", "zzz": 1}},
            {"filter": {"no": "filter"}},
            {"query": ""},
            {"query": None},
            {"unknown": 1},
        ],
    )
    def test_a_users_error_is_told(self, server: Running, body: dict[str, Any]) -> None:
        answer = server.client.post("/search", json={"query": QUERY, **body})
        assert answer.status_code == 422
        assert answer.json()["error"]["message"]

    def test_without_an_index_there_is_none(self) -> None:
        with running(Sidecar(settings(), Failing(None))) as server:
            answer = server.client.get("/search", params={"q": "x"})
            assert answer.status_code == 404
            assert "--index" in answer.json()["error"]["message"]


class Failing:
    """A scorer that is right once, for warming up, and then fails as it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def predict(self, pairs: Any) -> np.ndarray:
        if self.error is not None and _WARM not in pairs[0][1]:
            raise self.error
        return np.zeros(len(pairs), dtype=np.float32)


@pytest.mark.parametrize(
    "error", [RerankerError("gone"), OverloadedError("full", retry_after=1), ZeroDivisionError("x")]
)
def test_a_failing_second_stage_leaves_the_first(animals: BM25Index, error: Exception) -> None:
    with running(Sidecar(settings(), Failing(error), animals)) as server:
        found = ask(server, k=5)
        assert found["status"]["outcome"] == "failed"
        assert str(error) in found["status"]["reason"]
        [first] = animals.search([QUERY], 5)
        assert [hit["id"] for hit in found["hits"]] == list(first.ids)
        assert all(hit["rerank"] is None for hit in found["hits"])
        metrics = server.client.get("/metrics").text
        assert 'twopass_degradations_total{outcome="failed",where="search"} 1.0' in metrics


class Stuck:
    """A scorer that, once warm, scores nothing until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.seen: list[str] = []

    def predict(self, pairs: Any) -> np.ndarray:
        if _WARM not in pairs[0][1]:
            self.seen += [passage for _, passage in pairs]
            self.begun.set()
            assert self.go.wait(60)
        return np.zeros(len(pairs), dtype=np.float32)


def test_a_slow_second_stage_leaves_the_first(animals: BM25Index) -> None:
    stuck = Stuck()
    with running(Sidecar(settings(), stuck, animals)) as server:
        try:
            found = ask(server, k=3, deadline=0.2)
        finally:
            stuck.go.set()
        assert found["status"]["outcome"] == "failed"
        assert "out of time" in found["status"]["reason"]
        [first] = animals.search([QUERY], 3)
        assert [hit["id"] for hit in found["hits"]] == list(first.ids)


def test_past_the_queues_bound_comes_429_and_those_before_are_answered() -> None:
    stuck = Stuck()
    with running(Sidecar(settings(max_queue=2), stuck)) as server:
        answers: list[httpx.Response] = []

        def post(text: str) -> None:
            body = {"query": "x", "texts": [text, text + "!"]}
            answers.append(httpx.post(f"{server.url}/rerank", json=body, timeout=60))

        threads = [threading.Thread(target=post, args=(text,)) for text in ("one", "two")]
        try:
            threads[0].start()
            assert stuck.begun.wait(60)
            threads[1].start()
            while server.sidecar.models.default.scorer.stats.waiting_pairs < 2:
                pass
            refused = server.client.post("/rerank", json={"query": "x", "texts": ["three"]})
        finally:
            stuck.go.set()
            for thread in threads:
                thread.join()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error_type"] == "Overloaded"
        assert [answer.status_code for answer in answers] == [200, 200]


def test_what_cannot_be_done_in_time_is_429_and_of_a_search_the_first_stage(
    animals: BM25Index,
) -> None:
    stuck = Stuck()
    with running(Sidecar(settings(deadline=60), stuck, animals)) as server:
        first = threading.Thread(
            target=server.client.post,
            args=("/rerank",),
            kwargs={"json": {"query": "x", "texts": ["before"]}},
        )
        first.start()
        try:
            assert stuck.begun.wait(60)
            for _ in range(20):
                server.sidecar.models.default.scorer._worker._pace.learn(1, 40.0)
            body = {"query": "x", "documents": ["after", "that"]}
            refused = httpx.post(f"{server.url}/v2/rerank", json=body, timeout=60)
            found = ask(server, k=3)
        finally:
            stuck.go.set()
            first.join()
        assert refused.status_code == 429
        assert 10 < int(refused.headers["retry-after"]) <= 300
        assert found["status"]["outcome"] == "failed"
        assert "too much to do" in found["status"]["reason"]
        [alone] = animals.search([QUERY], 3)
        assert [hit["id"] for hit in found["hits"]] == list(alone.ids)
        assert stuck.seen == ["before"]


@pytest.mark.parametrize("path", ["/rerank", "/search"])
def test_what_waits_of_a_client_that_leaves_is_not_scored(animals: BM25Index, path: str) -> None:
    stuck = Stuck()
    with running(Sidecar(settings(), stuck, animals)) as server:
        first = threading.Thread(
            target=server.client.post,
            args=("/rerank",),
            kwargs={"json": {"query": "x", "texts": ["before"]}},
        )
        first.start()
        try:
            assert stuck.begun.wait(60)
            body = {"query": QUERY, "texts": ["after"]}
            if path == "/search":
                del body["texts"]
            timeout = httpx.Timeout(60, read=0.5)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{server.url}{path}", json=body, timeout=timeout)
            while server.sidecar.models.default.scorer.stats.waiting_requests:
                pass
        finally:
            stuck.go.set()
            first.join()
        fine = server.client.post("/rerank", json={"query": "x", "texts": ["last"]})
        assert fine.status_code == 200
        assert stuck.seen == ["before", "last"]


def test_what_was_accepted_is_finished_at_the_end() -> None:
    stuck = Stuck()
    answers: list[httpx.Response] = []
    with running(Sidecar(settings(), stuck)) as server:
        url = f"{server.url}/rerank"

        def post() -> None:
            body = {"query": "x", "texts": ["y"]}
            answers.append(httpx.post(url, json=body, timeout=60))

        waiting = threading.Thread(target=post)
        waiting.start()
        assert stuck.begun.wait(60)
        threading.Timer(0.5, stuck.go.set).start()  # after the server was told to end
    waiting.join()
    assert answers[0].status_code == 200


@pytest.fixture(scope="module")
def cascade(model: Path, animals: BM25Index) -> Iterator[Running]:
    chosen = Settings.model_validate(
        {"reranker": {"model": str(model), "cascade": {"model": "twopass/tiny", "keep": 3}}}
    )
    cheap = build_cheap_scorer(chosen)
    with running(Sidecar(chosen, build_final_scorer(chosen), animals, cheap=cheap)) as server:
        yield server


class TestACascade:
    """A small model chooses what the model reads in searches; rerank clients get all scores."""

    def test_a_search_is_the_pipelines(self, cascade: Running, animals: BM25Index) -> None:
        settings = cascade.sidecar.settings
        pipeline = SearchPipeline(animals, build_scorer(settings), build_fusion(settings))
        wanted = pipeline.search(QUERY, 8, depth=20)
        found = ask(cascade, k=8, depth=20)
        assert [hit["id"] for hit in found["hits"]] == list(wanted.ids)
        cheap = [hit["columns"]["cheap"] for hit in found["hits"]]
        np.testing.assert_allclose(cheap, wanted.columns["cheap"], atol=1e-4)
        status = found["status"]
        assert (status["outcome"], status["scored"], status["candidates"]) == ("complete", 3, 3)

    def test_equal_searches_at_one_time_do_not_share_what_is_kept(self, cascade: Running) -> None:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: ask(cascade, depth=20), range(16)))
        assert {answer["status"]["scored"] for answer in answers} == {3}
        first = [hit["id"] for hit in answers[0]["hits"]]
        assert all([hit["id"] for hit in answer["hits"]] == first for answer in answers)

    def test_rerank_clients_get_every_score(self, cascade: Running) -> None:
        texts = [f"The owl hunts {number} mice." for number in range(9)]
        body = {"query": QUERY, "documents": texts}
        answer = cascade.client.post("/cohere/v2/rerank", json=body)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["results"]) == 9

    def test_both_queues_are_told_of(self, cascade: Running) -> None:
        ask(cascade, depth=20)
        told = cascade.client.get("/metrics").text
        assert f'{{model="{cascade.sidecar.models.default.name}, cascade"}}' in told
