from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.build import build_scorer
from pipeline.settings import Settings
from pipeline.sidecar.service import Sidecar
from retriever.bm25.index import BM25Index

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
