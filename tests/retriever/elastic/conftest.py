"""An index of a test's own on each of the two real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from twopass.retriever.elastic import Connection, ElasticsearchRetriever, connect


@dataclass(frozen=True)
class Remote:
    """A server, and a name that no other test has there."""

    engine: Any
    url: str
    name: str
    connection: Connection

    def retriever(self, index: str = "", **options: Any) -> ElasticsearchRetriever:
        return ElasticsearchRetriever(self.url, index or self.name, engine=self.engine, **options)

    def put(self, name: str, body: Any, documents: dict[str, Any], **params: str) -> None:
        """Make an index as anybody would."""
        self.connection.request("PUT", f"/{name}", body)
        for id, source in documents.items():
            path = f"/{name}/_doc/{id}"
            self.connection.request("PUT", path, source, refresh="true", **params)


@pytest.fixture(params=["elasticsearch", "opensearch"])
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    url = request.getfixturevalue(f"{request.param}_url")
    connection = connect(url, engine=request.param)
    remote = Remote(request.param, url, f"test-{uuid4().hex}", connection)
    yield remote
    there = connection.request("GET", f"/_cat/indices/{remote.name}*", format="json")
    for index in there:
        connection.request("DELETE", f"/{index['index']}")
    connection.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how long each wait would be, and wait no longer than a moment."""
    noted: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", noted.append)
    return noted
