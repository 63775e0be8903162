"""A head and its body leave together: a killed process tears no answer between the two."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .processes import SECONDS, serve

pytestmark = pytest.mark.slow

QUESTION = json.dumps({"query": "cat", "documents": ["The cat sat on the mat.", "An owl hunts."]})
REQUEST = (
    f"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(QUESTION)}\r\n\r\n{QUESTION}"
).encode()


def test_an_answer_comes_in_one_piece(model: Path, tmp_path: Path) -> None:
    with serve(tmp_path, "--model", model) as served:
        address = urlsplit(served.url)
        served.wait_for(served.answers)
        with socket.create_connection((address.hostname, address.port), SECONDS) as connection:
            for _ in range(100):
                connection.sendall(REQUEST)
                head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                assert len(json.loads(body)["results"]) == 2


def test_a_long_answer_comes_whole(model: Path, tmp_path: Path) -> None:
    documents = ["An owl hunts. " * 20] * 900
    with serve(tmp_path, "--model", model) as served:
        asked = {"query": "cat", "documents": documents, "return_documents": True}
        status, body = served.ask("/rerank", asked)
    assert status == 200
    assert len(body) > 3 * 65536
    assert [each["document"] for each in json.loads(body)["results"]] == documents
