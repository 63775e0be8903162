"""Official clients of other versions and products, each in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retriever.base import IncompatibleClientError
from retriever.elastic import ElasticsearchRetriever, connect

pytestmark = pytest.mark.server

_SEARCH = """
import sys
sys.path[:0] = [sys.argv[1]]  # before the client that is installed
import elasticsearch
from retriever.elastic import ElasticsearchRetriever
from retriever.base import IncompatibleClientError
try:
    ElasticsearchRetriever(sys.argv[2], "any").search(["cat"], 1)
except IncompatibleClientError as error:
    print(elasticsearch.__versionstr__, error)
"""


@pytest.fixture(scope="module")
def client_9(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the client 9 into a folder of its own."""
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


def test_client_9_on_a_server_8(client_9: Path, elasticsearch_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SEARCH, str(client_9), elasticsearch_url],
        capture_output=True,
        text=True,
        check=True,
    )
    version, _, message = done.stdout.partition(" ")
    assert version.startswith("9.")
    assert f"the installed client elasticsearch {version}" in message
    assert "pip install 'elasticsearch>=8.15,<9'" in message


def test_an_elasticsearch_client_on_opensearch(opensearch_url: str) -> None:
    connection = connect(opensearch_url)
    for send in (
        lambda: connection.request("GET", "/_cluster/health"),
        lambda: ElasticsearchRetriever(opensearch_url, "any").search(["cat"], 1),
    ):
        with pytest.raises(IncompatibleClientError, match=r"say engine .* 'opensearch'"):
            send()
    connection.close()
