"""Real search servers, started when a test first needs one and ended after the last that does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what the tests of all packages share

from servers import ELASTICSEARCH, OPENSEARCH, Package, Server, ServerUnavailable

_started: dict[str, Server] = {}


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """The address of a real Elasticsearch 8."""
    yield from _serve(ELASTICSEARCH, {"xpack.security.enabled": "false"})


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """The address of a real OpenSearch 3."""
    yield from _serve(OPENSEARCH, {})


def _serve(package: Package, settings: dict[str, str]) -> Iterator[str]:
    if url := os.environ.get(package.url_variable):
        yield url.rstrip("/")
        return
    try:
        server = Server(package, settings).start()
    except ServerUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must test against {package.name}: {error}")
        pytest.skip(str(error))
    _started[f"{package.name}_url"] = server
    try:
        yield server.url
    finally:
        server.stop()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End a server when no later test asks for it, so that it does not keep its memory."""
    items = item.session.items
    later = items[items.index(nextitem) :] if nextitem is not None else []
    for fixture in [name for name in _started if name in getattr(item, "fixturenames", ())]:
        if not any(fixture in getattr(other, "fixturenames", ()) for other in later):
            _started.pop(fixture).stop()
