"""Replicas behind docker/nginx.conf, all real processes: one is killed, and nobody notices."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from servers import free_port

from .processes import SECONDS, Serving, serve

pytestmark = pytest.mark.slow

CONFIGURATION = Path(__file__).resolve().parents[4] / "docker" / "nginx.conf"
QUESTION = json.dumps({"query": "cat", "documents": ["The cat sat on the mat.", "An owl hunts."]})
CALLERS = 6


@contextmanager
def balanced(folder: Path, replicas: list[Serving]) -> Iterator[int]:
    """Spread requests over two replicas; the port to ask."""
    if shutil.which("nginx") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must test behind nginx: install it")
        pytest.skip("nginx is not installed")
    port = free_port()
    text = CONFIGURATION.read_text().replace("/tmp/", f"{folder}/")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"sidecar{number}:8765", replica.url.removeprefix("http://"))
    assert "sidecar1" not in text
    assert "sidecar2" not in text
    path = folder / "nginx.conf"
    path.write_text(text)
    command = ["nginx", "-c", path, "-e", folder / "errors", "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        replicas[0].wait_for(lambda: process.poll() is None and listens(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except ConnectionRefusedError:
        return False


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_one_is_killed_and_all_are_answered(model: Path, tmp_path: Path) -> None:
    with (
        serve(tmp_path, "--model", model) as one,
        serve(tmp_path, "--model", model) as other,
        balanced(tmp_path, [one, other]) as port,
    ):
        answers: list[tuple[int, str]] = []
        ended = threading.Event()

        def go_on() -> None:
            while not ended.is_set():
                status, body = ask(port, "POST", "/rerank", QUESTION)
                answers.append((status, json.dumps(json.loads(body).get("results"))))

        callers = [threading.Thread(target=go_on) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        try:
            other.wait_for(
                lambda: min(each.metric("twopass_pairs_count") for each in (one, other)) >= 10
            )
            one.process.kill()
            one.process.wait()
            killed = len(answers)
            other.wait_for(lambda: len(answers) >= killed + 60)
        finally:
            ended.set()
            for caller in callers:
                caller.join()
        assert {status for status, _ in answers} == {200}
        assert len({results for _, results in answers}) == 1
