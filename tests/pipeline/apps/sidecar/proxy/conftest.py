"""A small index on real servers, and the proxy in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from uuid import uuid4

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.service import Sidecar

from ..running import Running, running
from .engines import Engine, Start, fill


class WordOverlap:
    """A pair scorer: the share of the passage's words that the query has."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.array([self._share(*pair) for pair in pairs], dtype=np.float32)

    @staticmethod
    def _share(query: str, passage: str) -> float:
        asked, words = set(query.lower().split()), passage.lower().replace(".", "").split()
        return sum(word in asked for word in words) / max(len(words), 1)


@pytest.fixture(scope="session", params=["elasticsearch", "opensearch"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An index of 60 short texts on each of the two servers."""
    url = request.getfixturevalue(f"{request.param}_url")
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        index = f"twopass-proxy-{uuid4().hex[:8]}"
        fill(client, index)
        yield Engine(request.param, url, index, client)
        with suppress(httpx.TransportError):  # a server of the tests' own may have ended
            client.delete(f"/{index}")


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Start a proxy with settings and, if need be, another scorer; ends with the session."""
    with ExitStack() as stack:

        def begin(url: str, scorer: object | None = None, **proxy: object) -> Running:
            settings = Settings.model_validate({"proxy": {"url": url, **proxy}})
            sidecar = Sidecar(settings, scorer or WordOverlap())
            return stack.enter_context(running(sidecar))

        yield begin


@pytest.fixture(scope="session")
def proxy(engine: Engine, start: Start) -> Running:
    """The proxy with a window of 20 in front of each server."""
    return start(engine.url, rerank={"window_size": 20, "deadline": 30})
