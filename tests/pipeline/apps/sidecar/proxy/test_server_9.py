"""The proxy before an Elasticsearch 9, asked by the official clients of both versions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from .engines import Engine, Start, fill, ids

pytestmark = pytest.mark.server

QUERY = {"match": {"text": "cat hunts mice"}}
_ASK = """
import json, sys
sys.path[:0] = sys.argv[1:2]
from elasticsearch import Elasticsearch, __versionstr__
client = Elasticsearch(sys.argv[2])
query = json.loads(sys.argv[4])
one = client.search(index=sys.argv[3], query=query, size=10)
many = client.msearch(index=sys.argv[3], searches=[{}, {"query": query, "size": 10}])
print(json.dumps({
    "client": __versionstr__,
    "status": one.meta.headers["x-twopass-status"],
    "one": dict(one.body),
    "many": dict(many["responses"][0]),
}))
"""


@pytest.fixture(scope="module")
def engine_9(elasticsearch_9_url: str) -> Iterator[Engine]:
    with httpx.Client(base_url=elasticsearch_9_url, timeout=60, trust_env=False) as client:
        index = f"twopass-proxy-{uuid4().hex[:8]}"
        fill(client, index)
        yield Engine("elasticsearch", elasticsearch_9_url, index, client)
        client.delete(f"/{index}")


@pytest.mark.parametrize("version", ["8", "9"])
def test_a_client_is_answered(
    engine_9: Engine, start: Start, version: str, request: pytest.FixtureRequest
) -> None:
    proxy = start(engine_9.url, rerank={"window_size": 20, "deadline": 60})
    folder: Path | str = request.getfixturevalue("client_9") if version == "9" else ""
    command = [sys.executable, "-c", _ASK, folder, proxy.url, engine_9.index, json.dumps(QUERY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["client"].startswith(f"{version}.")
    assert found["status"] == "complete"
    direct = engine_9.search({"query": QUERY, "size": 20})
    assert ids(found["one"]) == ids(found["many"])
    assert ids(found["one"]) != ids(direct)[:10]  # the second stage had its say
    assert set(ids(found["one"])) <= set(ids(direct))
    assert found["one"]["hits"]["total"] == direct["hits"]["total"]
