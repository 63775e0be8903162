"""The stages of a search through the proxy, as spans, in front of real servers."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ..running import Running
from .engines import Engine

pytestmark = pytest.mark.server


def test_the_stages_of_a_reranked_search(
    proxy: Running, engine: Engine, spans: InMemorySpanExporter
) -> None:
    body = {"query": {"match": {"text": "cat hunts mice"}}}
    answer = proxy.client.post(f"/{engine.index}/_search", json=body)
    assert answer.headers["x-twopass-status"] == "complete"
    found = {span.name: span for span in spans.get_finished_spans()}  # ended before the answer
    assert found["retrieval"].attributes["twopass.searches"] == 1
    assert dict(found["rerank"].attributes) == {
        "twopass.candidates": 20,
        "twopass.scored": 20,
        "twopass.status": "complete",
    }
    assert found["retrieval"].parent == found["rerank"].parent
    assert found["retrieval"].parent is not None
