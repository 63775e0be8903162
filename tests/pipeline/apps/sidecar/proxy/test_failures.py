"""A reranker that fails, in every way, and a search engine that is away: what callers get."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from twopass.reranker.contract.errors import OverloadedError
from twopass.reranker.scorers.fallback import FallbackScorer

from ..running import Running
from .engines import Engine, Start, ids

QUERY = {"match": {"text": "cat hunts mice"}}
SECRET = "the passage of somebody else"


class Failing:
    """A scorer that fails as told, but for its first call, which warms it."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._warm = False

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        how, self._warm = self._how if self._warm else "", True
        match how:
            case "raises":
                raise RuntimeError(SECRET)
            case "overloaded":
                raise OverloadedError(SECRET, retry_after=1)
            case "too few":
                return np.zeros(len(pairs) - 1, dtype=np.float32)
            case "nan":
                return np.full(len(pairs), np.nan, dtype=np.float32)
            case "slow":
                time.sleep(0.4)
        return np.zeros(len(pairs), dtype=np.float32)


@pytest.mark.server
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("raises", "error"),
        ("overloaded", "overloaded"),
        ("too few", "error"),
        ("nan", "error"),
        ("slow", "deadline"),
    ],
)
def test_the_answer_is_the_servers_own(
    engine: Engine, start: Start, how: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    deadline = 0.1 if how == "slow" else 30
    proxy = start(engine.url, Failing(how), rerank={"window_size": 30, "deadline": deadline})
    body = {"query": QUERY, "from": 2, "size": 8, "aggs": {"n": {"max": {"field": "number"}}}}
    with caplog.at_level(logging.CRITICAL):
        answer = proxy.client.post(f"/{engine.index}/_search", json=body)
    assert answer.status_code == 200
    found = answer.json()
    said = found.pop("_twopass")
    assert found | {"took": 0} == engine.search(body) | {"took": 0}
    assert (said["status"], said["code"], said["scored"]) == ("failed", code, 0)
    assert answer.headers["x-twopass-status"] == "failed"
    assert answer.headers["x-twopass-reason"] == said["reason"]
    assert SECRET not in answer.text + str(answer.headers)
    metrics = proxy.client.get("/metrics").text
    assert f'twopass_proxy_searches_total{{code="{code}",status="failed"}} 1.0' in metrics
    assert 'twopass_degradations_total{outcome="failed",where="proxy"} 1.0' in metrics


@pytest.mark.server
def test_another_scorer_that_answers_is_named(engine: Engine, start: Start) -> None:
    chain = FallbackScorer({"best": Failing("raises"), "next": Failing("")})
    body = {"query": QUERY}
    found = start(engine.url, chain).client.post(f"/{engine.index}/_search", json=body).json()
    assert (found["_twopass"]["status"], found["_twopass"]["code"]) == ("complete", "fallback")
    assert found["_twopass"]["by"] == "next"
    chain = FallbackScorer({"best": Failing("raises"), "none": None})
    found = start(engine.url, chain).client.post(f"/{engine.index}/_search", json=body).json()
    assert (found["_twopass"]["status"], found["_twopass"]["code"]) == ("failed", "error")
    assert SECRET not in str(found)
    assert found["hits"] == engine.search(body)["hits"]


@pytest.mark.server
def test_a_fusion_that_does_not_fit_is_said(engine: Engine, proxy: Running) -> None:
    body = {"query": QUERY, "rescore": {"neural": {"fusion": "log-odds"}}}
    found = proxy.client.post(f"/{engine.index}/_search", json=body).json()
    assert found["_twopass"]["code"] == "fusion"
    assert "log-odds expects probabilities" in found["_twopass"]["reason"]
    assert ids(found) == ids(engine.search({"query": QUERY}))


@pytest.mark.server
def test_hits_without_text_stay_below_and_are_counted(engine: Engine, proxy: Running) -> None:
    index = f"{engine.index}-bare"
    try:
        for id, source in {"1": {"text": "owl"}, "2": {"text": "owl", "body": "owl"}}.items():
            url = f"/{index}/_doc/{id}?refresh=true"
            engine.client.put(url, json=source).raise_for_status()
        neural: dict[str, Any] = {"fields": ["body"]}
        body = {"query": {"match": {"text": "owl"}}, "rescore": {"neural": neural}}
        found = proxy.client.post(f"/{index}/_search", json=body).json()
        assert ids(found) == ["2", "1"]
        assert found["_twopass"]["status"] == "partial"
        assert found["_twopass"]["reason"] == "1 of 2 hits have no text to read"
        neural["fields"] = ["gone"]
        found = proxy.client.post(f"/{index}/_search", json=body).json()
        assert (found["_twopass"]["status"], found["_twopass"]["code"]) == ("skipped", "text")
    finally:
        engine.client.delete(f"/{index}")


def test_a_server_that_is_away_is_a_503_in_its_own_shape(start: Start) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = start(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        for path in ("/a/_search", "/_msearch"):
            answer = proxy.client.post(path, json={"query": QUERY})
            assert answer.status_code == 503
            assert answer.json()["status"] == 503
            assert answer.json()["error"]["type"] == "twopass_upstream_exception"
            assert answer.headers["x-elastic-product"] == "Elasticsearch"
            assert str(nobody.getsockname()[1]) not in answer.text
        ready = proxy.client.get("/readyz")
        assert ready.status_code == 503
        assert "cannot be reached" in ready.text


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", 502),
        (b"nonsense\r\n\r\n", 502),
        (None, 504),
    ],
)
def test_a_server_that_breaks_off_or_hangs(start: Start, reply: bytes | None, status: int) -> None:
    with _Answering(reply) as url:
        proxy = start(url, timeout=0.5)
        answer = proxy.client.post("/a/_search", json={"query": QUERY})
    assert answer.status_code == status
    assert answer.json()["status"] == status


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_errors_of_the_server_keep_status_headers_and_body(start: Start, status: int) -> None:
    content = b'{"error":{"type":"t","reason":"r"},"status":%d}' % status
    head = (
        b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nwww-authenticate: Basic\r\nretry-after: 7\r\n\r\n"
    )
    with _Answering(head % (status, len(content)) + content) as url:
        proxy = start(url)
        answer = proxy.client.post("/a/_search", json={"query": QUERY})
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["www-authenticate"] == "Basic"
    assert answer.headers["retry-after"] == "7"


def test_headers_of_an_answer_that_was_read_stay_all(start: Start) -> None:
    content = b'{"took":1,"hits":{"hits":[],"max_score":null}}'
    named = b'warning: 299 X "one"\r\nwarning: 299 X "two"\r\nx-opaque-id: 7\r\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%s\r\n" % (len(content), named)
    with _Answering(head + content) as url:
        answer = start(url).client.post("/a/_search", json={"query": QUERY})
    assert answer.headers.get_list("warning") == ['299 X "one"', '299 X "two"']
    assert answer.headers["x-opaque-id"] == "7"
    assert answer.headers["x-twopass-status"] == "skipped"
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]


def test_an_answer_without_hits_passes(start: Start) -> None:
    content = b'{"took":1}'
    with _Answering(
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content
    ) as url:
        answer = start(url).client.post("/a/_search", json={"query": QUERY})
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["x-twopass-reason"].startswith("refused: ")


class _Answering:
    """A server that gives every connection the same bytes, or none and keeps it open."""

    def __init__(self, reply: bytes | None) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            connection.recv(65536)
            if self._reply is not None:
                connection.sendall(self._reply)
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()


def test_nothing_is_taken_from_the_environment(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        head = b"HTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\n{}"
        with _Answering(head) as url:
            answer = start(url).client.post("/a/_search", json={"query": QUERY})
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 404


def test_a_client_that_leaves_while_it_asks_is_no_error(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = start("http://127.0.0.1:9")
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(
            b"POST /a/_search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
    until = time.monotonic() + 60
    while 'status="499"' not in proxy.client.get("/metrics").text:
        assert time.monotonic() < until
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
