"""The proxy before a search engine that drips, answers nonsense, or stands behind a prefix."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from twopass.pipeline.apps.settings.serve import ProxySettings
from twopass.pipeline.apps.sidecar.proxy.exchange import target_of
from twopass.pipeline.apps.sidecar.proxy.messages import of_request

from .standing import Standing, standing

SEARCH = b'{"query": {"match": {"text": "a"}}}'
HIT = {"_index": "i", "_id": "1", "_score": 1.5, "_source": {"text": "a b"}}
WHOLE = {"took": 1, "hits": {"total": {"value": 1}, "max_score": 1.5, "hits": [HIT]}}


class _Engine(ThreadingHTTPServer):
    """Answers as the test says, whatever it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b"{}"
        self.drip = 0.0
        self.paths: list[str] = []
        self.headers: Mapping[str, str] = {}

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Engine

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths.append(self.path)
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        for byte in self.server.content if self.server.drip else b"":
            self.wfile.write(bytes([byte]))
            time.sleep(self.server.drip)
        if not self.server.drip:
            self.wfile.write(self.server.content)

    do_GET = do_POST  # noqa: N815  (the library's name)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def _engine() -> Iterator[_Engine]:
    with _Engine() as engine:
        Thread(target=engine.serve_forever, daemon=True).start()
        yield engine
        engine.shutdown()


@pytest.fixture
def engine(_engine: _Engine) -> _Engine:
    _engine.content, _engine.drip, _engine.paths = b"{}", 0.0, []
    return _engine


@pytest.fixture(scope="module")
def proxy(_engine: _Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    own = {"credentials": "own", "api_key": "secret"}
    url = f"http://127.0.0.1:{_engine.server_port}/prefix"
    settings: dict[str, Any] = {"url": url, "timeout": 2, "allow": ["_count"], **own}
    with standing(tmp_path_factory.mktemp("proxy"), proxy=settings) as service:
        yield service


def _post(proxy: Standing, path: str, body: bytes, *headers: str) -> tuple[int, bytes]:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    head, _, rest = proxy.ask("\r\n".join(lines).encode() + body).partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


@pytest.mark.parametrize("path", ["/i/_search", "/i/_msearch", "/i/_count"])
def test_a_server_that_drips_is_waited_for_no_longer_than_said(
    proxy: Standing, engine: _Engine, path: str
) -> None:
    engine.content, engine.drip = json.dumps(WHOLE).encode() * 10, 0.05
    body = b"{}\n" + SEARCH + b"\n" if path.endswith("_msearch") else SEARCH
    started = time.monotonic()
    status, rest = _post(proxy, path, body)
    assert time.monotonic() - started < 8
    if path == "/i/_count":  # passed on as it comes, so that it is cut
        assert len(rest) < len(engine.content)
    else:
        assert status == 504
        assert b"did not answer in time" in rest


@pytest.mark.parametrize(
    "path",
    [
        *("/../_search", "/%2e%2e/_search", "/i/../../_search", "/./_search", "/..%2f/_search"),
        *("/i%5c..%5c../_search", "/%2e./_count", "/..%2fother%2f../_msearch"),
    ],
)
def test_no_path_leaves_the_prefix(proxy: Standing, engine: _Engine, path: str) -> None:
    assert target_of(path).climbs
    status, body = _post(proxy, path, SEARCH)
    assert status == 403
    assert b"without the parts . and .." in body
    assert engine.paths == []


def test_paths_with_dots_in_names_go_on(proxy: Standing, engine: _Engine) -> None:
    for path in (
        "/a..b/_search",
        "/.hidden/_search",
        "/%3Ca-%7Bnow%2Fd%7D%3E/_search",
        "/.../_count",
    ):
        engine.content = json.dumps(WHOLE).encode()
        assert _post(proxy, path, SEARCH)[0] == 200
    assert len(engine.paths) == 4
    assert all(path.startswith("/prefix/") for path in engine.paths)


def _malformed() -> Iterator[Any]:
    """Yield answers in which one value after another is of another kind."""
    others: list[Any] = [None, [None], {}, "x", float("nan")]

    def variants(value: Any) -> Iterator[Any]:
        yield from others
        if isinstance(value, dict | list):
            for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
                for new in variants(inner):
                    changed = value.copy()
                    changed[key] = new
                    yield changed

    failure = {"reason": {"type": "x", "caused_by": {"type": "y"}}}
    shards = {"failed": 0, "failures": [failure]}
    yield from variants({**WHOLE, "_shards": shards})
    with_fields = {**HIT, "fields": {"text": ["a"]}}
    yield from variants({"took": 1, "hits": {"max_score": 1, "hits": [with_fields, HIT]}})


def test_answers_that_are_none_of_a_search_are_passed_on(proxy: Standing, engine: _Engine) -> None:
    passed = 0
    for answer in _malformed():
        engine.content = json.dumps(answer).encode()
        status, body = _post(proxy, "/i/_search", SEARCH)
        assert status == 200, answer
        passed += body == engine.content
    assert passed > 50


def test_answers_that_are_none_of_many_searches_are_passed_on(
    proxy: Standing, engine: _Engine
) -> None:
    for answer in _malformed():
        wraps = ({"took": 1, "responses": [answer]}, {"took": answer, "responses": [WHOLE]}, answer)
        for whole in wraps[:1] if isinstance(answer, dict) and "hits" in answer else wraps:
            engine.content = json.dumps(whole).encode()
            assert _post(proxy, "/i/_msearch", b"{}\n" + SEARCH + b"\n")[0] == 200, whole


def test_hits_that_are_null_are_passed_on(proxy: Standing, engine: _Engine) -> None:
    engine.content = b'{"took": 1, "hits": null}'
    assert _post(proxy, "/i/_search", SEARCH) == (200, engine.content)


def test_nothing_by_which_a_caller_says_who_it_is_goes_on(proxy: Standing, engine: _Engine) -> None:
    names = ["Authorization", "Cookie", "es-secondary-authorization", "X-Forwarded-For"]
    names += ["es-secondary-x-client-authentication", "Forwarded", "X-Real-IP", "X-Forwarded-User"]
    names += ["es-security-runas-user", "X-Remote-User", "X-API-Key", "x-twopass-anything"]
    engine.content = json.dumps(WHOLE).encode()
    _post(proxy, "/i/_search", SEARCH, *(f"{name}: intruder" for name in names), "X-Kept: 1")
    assert engine.headers["authorization"] == "ApiKey secret"
    assert engine.headers["x-kept"] == "1"
    assert "intruder" not in json.dumps(dict(engine.headers))


def test_with_the_callers_own_credentials_its_headers_go_on() -> None:
    headers = [("X-Forwarded-For", "1.2.3.4"), ("Authorization", "Basic x")]
    assert dict(of_request(headers, ProxySettings())) == {
        "x-forwarded-for": "1.2.3.4",
        "authorization": "Basic x",
    }


def test_a_slow_caller_is_not_taken_for_a_slow_server(proxy: Standing, engine: _Engine) -> None:
    engine.content = b'{"count": 1}'
    head = b"POST /i/_count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    body = b'{"query": {}}'
    with proxy.connect(head + b"Content-Length: %d\r\n\r\n" % len(body)) as connection:
        time.sleep(3)  # longer than proxy.timeout
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
