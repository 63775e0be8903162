from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_tracer_provider

from twopass.pipeline.apps.assembly import build_scorer
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.retriever.index.index import BM25Index

from .running import Running, running


@pytest.fixture(scope="session")
def sidecar(model: Path, animals: BM25Index) -> Sidecar:
    """A tiny model and an index, not listening."""
    chosen = Settings.model_validate({"reranker": {"model": str(model)}})
    return Sidecar(chosen, build_scorer(chosen), animals)


@pytest.fixture(scope="session")
def server(sidecar: Sidecar) -> Iterator[Running]:
    """A tiny model and an index, listening."""
    with running(sidecar) as server:
        yield server


@pytest.fixture(scope="session")
def _exporter() -> Iterator[InMemorySpanExporter]:
    """The process's own provider, which can be set but once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def spans(_exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """What ends while a test runs, of this process."""
    _exporter.clear()
    yield _exporter
    _exporter.clear()
