"""A remote scorer against a real HTTP server that serves a real model and injects faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.reranker import CrossEncoder, RemoteScorer
from twopass.reranker.contract.errors import (
    DeniedError,
    InputError,
    OutputError,
    OverloadedError,
    RemoteError,
    UnavailableError,
)
from twopass.reranker.scorers.remote import breaker as breakers
from twopass.reranker.scorers.remote.breaker import CircuitBreaker
from twopass.reranker.scorers.remote.dialects import DIALECTS


class Service(ThreadingHTTPServer):
    """Answers in all dialects; ``faults`` are used up one a request, before any answer.

    A fault is a status, a status with headers, "hang", "drop", or what to answer instead.
    """

    daemon_threads = True

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = model
        self.faults: list[Any] = []
        self.most = 10**9
        self.requests: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, body, dict(self.headers)))
        fault = self.server.faults.pop(0) if self.server.faults else None
        texts = body.get("texts", body.get("documents"))
        if fault == "hang":
            self.server.released.wait(30)
            self.close_connection = True
        elif fault == "drop":
            self.close_connection = True
        elif isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self.answer({"error": "a fault"}, status, headers)
        elif fault is not None:
            self.answer(fault)
        elif len(texts) > self.server.most:
            self.answer({"error": "batch too large"}, 413)
        else:
            scores = self.server.model.predict([(body["query"], text) for text in texts])
            self.answer(self.results(scores.tolist()))

    def results(self, scores: list[float]) -> Any:
        best_first = sorted(range(len(scores)), key=lambda index: -scores[index])
        if "texts" in self.server.requests[-1][1]:
            return [{"index": index, "score": scores[index]} for index in best_first]
        return {
            "results": [{"index": index, "relevance_score": scores[index]} for index in best_first]
        }

    def answer(self, content: Any, status: int = 200, headers: Any = ()) -> None:
        data = json.dumps(content).encode() if content != "text" else b"<html>"
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def model(tiny: Callable[..., Path]) -> CrossEncoder:
    return CrossEncoder(tiny("bert"), device="cpu")


@pytest.fixture
def service(model: CrossEncoder) -> Iterator[Service]:
    service = Service(model)
    thread = threading.Thread(target=service.serve_forever, args=(0.01,))
    thread.start()
    yield service
    service.released.set()
    service.shutdown()
    thread.join()
    service.server_close()


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between attempts, which no test waits for."""
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    return pauses


PAIRS = [(f"capital {n % 3}", f"Berlin has {n} rivers and people") for n in range(17)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_models_scores(
    service: Service, model: CrossEncoder, dialect: Any
) -> None:
    with RemoteScorer(service.url, dialect=dialect, model="m", api_key="secret") as remote:
        scores = remote.score(PAIRS)
    np.testing.assert_allclose(scores.values, model.predict(PAIRS), atol=1e-5)
    assert scores.complete
    assert scores.by.startswith(service.url)
    assert len(service.requests) == 3  # a query each
    path, body, headers = service.requests[0]
    assert path.endswith("/rerank")
    assert headers["Authorization"] == "Bearer secret"
    assert body.get("model", "m") == "m"


def test_a_whole_address_is_taken_as_it_is(service: Service) -> None:
    with RemoteScorer(f"{service.url}/prefix/v2/rerank") as remote:
        assert len(remote.predict(PAIRS[:1])) == 1
        assert len(remote.predict([])) == 0
    assert [path for path, _, _ in service.requests] == ["/prefix/v2/rerank"]


def test_large_requests_are_split(service: Service, model: CrossEncoder) -> None:
    pairs = [("capital", f"text {n}") for n in range(50)]
    with RemoteScorer(service.url, max_texts=20) as remote:
        np.testing.assert_allclose(remote.predict(pairs), model.predict(pairs), atol=1e-5)
        assert [len(body["documents"]) for _, body, _ in service.requests].count(20) == 2
        service.most = 6
        service.requests.clear()
        np.testing.assert_allclose(remote.predict(pairs), model.predict(pairs), atol=1e-5)
        service.requests.clear()
        remote.predict(pairs)  # it has learnt
        assert max(len(body["documents"]) for _, body, _ in service.requests) <= 6
        service.most = 0
        with pytest.raises(RemoteError, match=r"status 413, .*batch too large"):
            remote.predict(pairs[:1])


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        (503, 0.25),
        (429, 1.0),
        ((429, {"Retry-After": "3"}), 3.0),
        ((503, {"Retry-After": "7"}), 7.0),
        (502, 0.25),
        ("drop", 0.25),
        ((429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0.0),
    ],
)
def test_trouble_that_passes(
    service: Service, model: CrossEncoder, slept: list[float], fault: Any, least: float
) -> None:
    service.faults = [fault, fault]
    with RemoteScorer(service.url) as remote:
        np.testing.assert_allclose(remote.predict(PAIRS[:1]), model.predict(PAIRS[:1]), atol=1e-5)
    assert len(service.requests) == 3
    assert len(slept) == 2
    assert min(slept) >= least


def test_a_timed_out_request_is_sent_again_after_a_pause(
    service: Service, slept: list[float]
) -> None:
    service.faults = ["hang"]
    with RemoteScorer(service.url, timeout=0.2) as remote:
        assert len(remote.predict(PAIRS[:1])) == 1
    assert len(slept) == 1
    assert slept[0] >= 0.25


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (429, OverloadedError, "status 429"),
        (500, UnavailableError, "status 500"),
        ("drop", UnavailableError, "RemoteProtocolError|ReadError"),
        (401, DeniedError, "api_key"),
        (403, DeniedError, "api_key"),
        (404, RemoteError, "status 404, .* dialect"),
        (400, RemoteError, "status 400"),
        ({"data": []}, OutputError, "another dialect"),
        ({"results": []}, OutputError, "each of 1 texts .* found 0"),
        ({"results": [{"index": 1, "relevance_score": 1}]}, OutputError, "another dialect"),
        ({"results": [{"index": 0, "relevance_score": None}]}, OutputError, "another dialect"),
        ("text", OutputError, "expected JSON"),
    ],
)
def test_trouble_that_stays(service: Service, fault: Any, error: Any, message: str) -> None:
    service.faults = [fault] * 9
    with RemoteScorer(service.url, attempts=3) as remote, pytest.raises(error, match=message):
        remote.predict(PAIRS[:1])
    passing = error in (OverloadedError, UnavailableError)
    assert len(service.requests) == (3 if passing else 1)


def test_nobody_there() -> None:
    with RemoteScorer("http://127.0.0.1:9") as remote, pytest.raises(UnavailableError):
        remote.predict(PAIRS[:1])


def test_a_deadline_brings_what_came_back(service: Service, model: CrossEncoder) -> None:
    service.faults = [None, "hang"]
    pairs = [("capital", f"text {n}") for n in range(40)]
    with RemoteScorer(service.url, connections=1) as remote:
        scores = remote.score(pairs, deadline=1.5)
        assert scores.scored == 32
        np.testing.assert_allclose(scores.values[:32], model.predict(pairs[:32]), atol=1e-5)
        assert scores.reason == "out of time (1.5 s): 32 of 40 scored"
        assert remote.score(pairs, deadline=-1).scored == 0
        assert remote.breaker.state == "closed"


def test_a_service_that_is_down_is_left_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(breakers, "monotonic", lambda: now[0])
    breaker = CircuitBreaker(failures=3, pause=5)
    service.faults = [503] * 4
    with RemoteScorer(service.url, attempts=9, breaker=breaker) as remote:
        with pytest.raises(UnavailableError):
            remote.predict(PAIRS[:1])
        assert (breaker.state, len(service.requests)) == ("open", 3)
        with pytest.raises(UnavailableError, match=r"failed 3 times .* tried again in 5\.0 s"):
            remote.predict(PAIRS[:1])
        assert len(service.requests) == 3
        now[0] += 6
        assert breaker.state == "half-open"
        with pytest.raises(UnavailableError):
            remote.predict(PAIRS[:1])
        assert (breaker.state, len(service.requests)) == ("open", 4)
        now[0] += 6
        assert len(remote.predict(PAIRS[:1])) == 1
        assert breaker.state == "closed"


def test_a_half_open_breaker_lets_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(breakers, "monotonic", lambda: now[0])
    breaker = CircuitBreaker(failures=1, pause=5)
    breaker.enter()
    breaker.failed()
    now[0] = 6
    breaker.enter()
    with pytest.raises(UnavailableError):
        breaker.enter()
    breaker.gave_up()
    breaker.enter()
    breaker.succeeded()
    assert breaker.state == "closed"


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "no address"},
        {"dialect": "esperanto"},
        {"max_texts": 0},
        {"attempts": 0},
        {"connections": 0},
    ],
)
def test_arguments_that_cannot_be_used(arguments: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        RemoteScorer(**{"url": "http://localhost:1", **arguments})
