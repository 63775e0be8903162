"""Spans of requests and stages, by the real SDK, and what happens without it."""

from __future__ import annotations

import sys
from time import monotonic, sleep

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.service import Sidecar

from .running import Running, running, settings

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Failing:
    def predict(self, pairs):
        if len(pairs) == 1:  # the one at the start
            return np.zeros(1, dtype=np.float32)
        raise RuntimeError("out of order")


def ended(spans: InMemorySpanExporter, name: str) -> dict[str, ReadableSpan]:
    """Wait for a request's span: it ends after the client has its answer."""
    until = monotonic() + 30
    while monotonic() < until:
        found = {span.name: span for span in spans.get_finished_spans()}
        if name in found:
            return found
        sleep(0.01)
    raise AssertionError(f"no span {name}, but {sorted(found)}")


def id_of(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def test_a_search_continues_the_callers_trace(server: Running, spans: InMemorySpanExporter) -> None:
    headers = {**TRACEPARENT, "X-Request-Id": "abc-1"}
    answer = server.client.post("/search", json={"query": "cat", "k": 2}, headers=headers).json()
    found = ended(spans, "POST /search")
    request = found["POST /search"]
    assert parent_of(request) == PARENT
    assert {f"{span.context.trace_id:032x}" for span in found.values()} == {TRACE}
    assert request.kind is SpanKind.SERVER
    assert request.status.status_code is StatusCode.UNSET
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/search",
        "http.response.status_code": 200,
        "twopass.request_id": "abc-1",
        "twopass.status": "complete",
    }
    stages = [found[name] for name in ("retrieval", "rerank", "fusion")]
    assert {parent_of(stage) for stage in stages} == {id_of(request)}
    candidates = answer["status"]["candidates"]
    assert candidates > 0
    assert dict(found["rerank"].attributes) == {
        "twopass.candidates": candidates,
        "twopass.scored": candidates,
    }
    assert found["fusion"].attributes["twopass.results"] == len(answer["hits"])
    times = [time for stage in stages for time in (stage.start_time, stage.end_time)]
    assert times == sorted(times)
    assert times[-1] <= request.end_time


def test_a_rerank_has_its_stage(server: Running, spans: InMemorySpanExporter) -> None:
    server.client.post("/v2/rerank", json={"query": "cat", "documents": ["a", "b", "c"]})
    found = ended(spans, "POST /v2/rerank")
    assert found["POST /v2/rerank"].parent is None
    assert parent_of(found["rerank"]) == id_of(found["POST /v2/rerank"])
    assert found["rerank"].attributes["twopass.scored"] == 3


def test_a_failure_is_an_error(spans: InMemorySpanExporter) -> None:
    with running(Sidecar(settings(), Failing())) as server:
        server.client.post("/v2/rerank", json={"query": "cat", "documents": ["a", "b"]})
        found = ended(spans, "POST /v2/rerank")
    assert found["POST /v2/rerank"].status.status_code is StatusCode.ERROR
    assert found["POST /v2/rerank"].attributes["http.response.status_code"] >= 500
    assert found["rerank"].status.status_code is StatusCode.ERROR


def test_health_makes_no_spans_and_unknown_paths_no_names(
    server: Running, spans: InMemorySpanExporter
) -> None:
    server.client.get("/healthz")
    server.client.get("/metrics")
    server.client.get("/who/knows/nobody")
    found = ended(spans, "GET")
    assert set(found) == {"GET"}
    assert found["GET"].attributes["http.response.status_code"] == 404


def test_the_proxys_server_continues_the_trace(
    server: Running, spans: InMemorySpanExporter
) -> None:
    """Another sidecar is the server: it knows no index, and says who has asked."""
    front = Settings.model_validate({"proxy": {"url": server.url}})
    with running(Sidecar(front, Failing())) as proxy:
        proxy.client.post("/animals/_search", json={}, headers=TRACEPARENT)
        until = monotonic() + 30
        while len(spans.get_finished_spans()) < 2 and monotonic() < until:
            sleep(0.01)
    [request] = [span for span in spans.get_finished_spans() if parent_of(span) == PARENT]
    [behind] = [span for span in spans.get_finished_spans() if span is not request]
    assert parent_of(behind) == id_of(request)
    assert request.attributes["twopass.status"] == "passed"
    assert behind.attributes["http.response.status_code"] == 404


def test_without_opentelemetry_all_is_served(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    tracing._tracer.cache_clear()
    try:
        tracing.prepare()
        assert tracing.with_trace_context([*TRACEPARENT.items()]) == [*TRACEPARENT.items()]
        answer = server.client.post("/search", json={"query": "cat"}, headers=TRACEPARENT)
        assert answer.json()["status"]["outcome"] == "complete"
    finally:
        tracing._tracer.cache_clear()
