"""What all tests share: the collections, and real search servers.

A server starts when a test first needs it and ends after the last test marked ``server``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from server_packages import ELASTICSEARCH_9
from servers import ELASTICSEARCH, OPENSEARCH, Cluster, Package, Server, ServerUnavailable

# What ONNX Runtime and the hub's client send, the package turns off by itself. These are libraries
# that an application chooses; here the tests are the application.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"
os.environ["LANGSMITH_TRACING"] = "false"

# How long an example takes depends on the machine and its other work.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"
_started: list[Server] = []
Startable = TypeVar("Startable", Server, Cluster)


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Find the folder of a real collection by its name.

    The collections stand in the folder that ``TWOPASS_DATA`` names. Where one is absent, the test
    is skipped; in CI it fails.
    """
    root = Path(os.environ.get("TWOPASS_DATA", _DEFAULT))

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            absent = f"collection {name!r} is not in {root}; set TWOPASS_DATA to its parent"
            if os.environ.get("CI"):
                pytest.fail(f"CI must test on real collections: {absent}")
            pytest.skip(absent)
        return folder

    return find


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """The address of a real Elasticsearch 8."""
    yield from _serve(ELASTICSEARCH, {"xpack.security.enabled": "false"})


@pytest.fixture(scope="session")
def elasticsearch_9_url() -> Iterator[str]:
    """The address of a real Elasticsearch 9."""
    yield from _serve(ELASTICSEARCH_9, {"xpack.security.enabled": "false"})


@pytest.fixture(scope="session")
def client_9(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Elasticsearch's client 9 into a folder of its own, for processes of their own."""
    folder = tmp_path_factory.mktemp("client-9")
    installer = [sys.executable, "-m", "uv", "pip", "install", "-q"]
    if importlib.util.find_spec("uv") is None:
        installer = [sys.executable, "-m", "pip", "install", "-q", "--no-input"]
    command = [*installer, "--target", str(folder), "elasticsearch>=9,<10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"CI must test against the client 9: {done.stderr[-500:]}")
        pytest.skip(f"the client 9 cannot be had: {done.stderr[-500:]}")
    return folder


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """The address of a real OpenSearch 3."""
    yield from _serve(OPENSEARCH, {})


def _serve(package: Package, settings: dict[str, str]) -> Iterator[str]:
    if url := os.environ.get(package.url_variable):
        yield url.rstrip("/")
        return
    server = Server(package, settings)
    with started(server):
        _started.append(server)
        yield server.url


@contextmanager
def started(server: Startable) -> Iterator[Startable]:
    """Start a server or a cluster and stop it after the block.

    Where it cannot be had, the test is skipped; in CI it fails.
    """
    try:
        server.start()
    except ServerUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must test against real servers: {error}")
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop()


@pytest.hookimpl(trylast=True)  # after the fixtures that clean up there
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the servers when no later test is marked, so that they do not keep their memory."""
    if _started and item.get_closest_marker("server"):
        items = item.session.items
        later = items[items.index(nextitem) :] if nextitem is not None else []
        if not any(other.get_closest_marker("server") for other in later):
            while _started:
                _started.pop().stop()
