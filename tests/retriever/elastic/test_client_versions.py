"""Official clients and servers of other versions and products, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from twopass.retriever.elastic import ElasticsearchRetriever, connect
from twopass.retriever.errors import IncompatibleClientError

pytestmark = pytest.mark.server

_BEGIN = """
import json, sys
sys.path[:0] = sys.argv[1:2]  # before the client that is installed
import elasticsearch
from twopass.retriever.errors import IncompatibleClientError
from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import ElasticsearchRetriever, connect
from twopass.retriever.elastic import publish_documents, read_documents
from twopass.retriever.filters import Range
"""
_SEARCH = """
try:
    ElasticsearchRetriever(sys.argv[2], "any").search(["cat"], 1)
except IncompatibleClientError as error:
    print(elasticsearch.__versionstr__, error)
"""
_ALL = """
url, name = sys.argv[2:]
connection = connect(url)
documents = [Document(f"d{n}", "cat", f"cat {n}", {"n": n}) for n in range(700)]
made = publish_documents(connection, name, documents, analysis={}, shards=2)
retriever = ElasticsearchRetriever(url, name)
print(json.dumps({
    "client": elasticsearch.__versionstr__,
    "server": connection.request("GET", "/_nodes/_local")["nodes"].popitem()[1]["version"],
    "loaded": made.report.loaded,
    "found": [list(hits.ids) for hits in retriever.search(["cat 7", "whale"], 1)],
    "filtered": len(retriever.search(["cat"], 20, filter=Range("n", lt=5))[0]),
    "paged": sum(len(page) for page in retriever.pages("cat", 300)),
    "read": len(list(read_documents(connection, name))),
}))
connection.request("DELETE", f"/{made.index}")
"""


def run(script: str, client: Path | str, *arguments: str) -> str:
    command = [sys.executable, "-c", _BEGIN + script, str(client), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_client_9_on_a_server_8(client_9: Path, elasticsearch_url: str) -> None:
    version, _, message = run(_SEARCH, client_9, elasticsearch_url).partition(" ")
    assert version.startswith("9.")
    assert f"the installed client elasticsearch {version}" in message
    assert "pip install 'elasticsearch>=8.15,<9'" in message


@pytest.mark.parametrize("client", ["8", "9"])
def test_both_clients_on_a_server_9(
    client: str, elasticsearch_9_url: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue("client_9") if client == "9" else ""
    found = json.loads(run(_ALL, folder, elasticsearch_9_url, f"test-{uuid4().hex}"))
    assert (found["client"][:2], found["server"][:2]) == (f"{client}.", "9.")
    assert (found["loaded"], found["paged"], found["read"]) == (700, 700, 700)
    assert (found["found"], found["filtered"]) == ([["d7"], []], 5)


def test_an_elasticsearch_client_on_opensearch(opensearch_url: str) -> None:
    connection = connect(opensearch_url)
    for send in (
        lambda: connection.request("GET", "/_cluster/health"),
        lambda: ElasticsearchRetriever(opensearch_url, "any").search(["cat"], 1),
    ):
        with pytest.raises(IncompatibleClientError, match=r"say engine .* 'opensearch'"):
            send()
    connection.close()
