"""Several workers at one port, each a real process: counted together, replaced, ended together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .processes import PROGRAM, SECONDS, Serving, serve

pytestmark = pytest.mark.slow

QUESTION = {"query": "cat", "documents": ["The cat sat on the mat.", "An owl hunts at night."]}


@pytest.fixture(scope="module")
def serving(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Two workers with a cache each."""
    folder = tmp_path_factory.mktemp("workers")
    with serve(folder, "--workers", 2, "--model", model, reranker__cache__megabytes=1) as serving:
        yield serving


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let the other worker answer alone meanwhile.

    It is stopped when it has nothing to do: one that is stopped between the last byte of an answer
    and the end of its work would count as active until it goes on.
    """
    idle = 0
    while idle < 10:
        idle = idle + 1 if state(pid) == "S" else 0
        time.sleep(0.01)
    os.kill(pid, signal.SIGSTOP)
    while state(pid) != "T":
        time.sleep(0.01)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    """Return whether a process runs (R), sleeps (S), is stopped (T), ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def ask(serving: Serving) -> list[float]:
    """Return the scores of the documents, in their order."""
    status, body = serving.ask("/rerank", QUESTION)
    assert status == 200, body
    return scores(body)


def scores(body: bytes) -> list[float]:
    found = sorted(json.loads(body)["results"], key=lambda each: each["index"])
    return [each["relevance_score"] for each in found]


class Half:
    """A request whose body is still to come, so that it is in work as long as a test wants."""

    def __init__(self, serving: Serving) -> None:
        address = urlsplit(serving.url)
        self._body = json.dumps(QUESTION).encode()
        head = (
            f"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        self._socket = socket.create_connection((address.hostname, address.port), SECONDS)
        self._socket.sendall(head.encode() + self._body[:5])

    def finish(self) -> bytes:
        """Send the rest; return the answer, nothing where the connection is gone."""
        parts = []
        try:
            self._socket.sendall(self._body[5:])
            while part := self._socket.recv(65536):
                parts.append(part)
        except ConnectionError:
            pass
        self._socket.close()
        return b"".join(parts)


def test_whoever_is_asked_tells_of_all(serving: Serving) -> None:
    one, other = serving.children()
    before = {
        name: serving.metric(f"twopass_{name}")
        for name in ("pairs_count", "pairs_sum", "cache_hits_total", "cache_misses_total")
    }
    answers = []
    for pid, times in ((one, 3), (other, 4)):
        with stopped(pid):
            answers += [ask(serving) for _ in range(times)]
    assert answers == [answers[0]] * 7
    expected = {"pairs_count": 7, "pairs_sum": 14, "cache_misses_total": 4, "cache_hits_total": 10}

    def grown() -> dict[str, float]:
        return {name: serving.metric(f"twopass_{name}") - before[name] for name in expected}

    for pid in (one, other):
        serving.wait_for(lambda: grown() == expected)  # a worker tells of its cache each second
        with stopped(pid):
            assert grown() == expected
    assert serving.metric("twopass_active_requests") == 1  # the question itself


def test_one_that_dies_is_replaced_and_its_counts_stay(serving: Serving) -> None:
    one, other = serving.children()
    counted, starts = serving.metric("twopass_pairs_sum"), serving.starts()
    with stopped(other):
        ask(serving)
        half = Half(serving)
        serving.wait_for(lambda: serving.metric("twopass_active_requests") == 2)
        os.kill(one, signal.SIGKILL)
    assert half.finish() == b""
    serving.wait_for(lambda: serving.starts() == starts + 1)
    assert one not in serving.children()
    assert len(serving.children()) == 2
    assert serving.metric("twopass_pairs_sum") == counted + 2
    assert serving.metric("twopass_active_requests") == 1
    assert len(ask(serving)) == 2


def test_what_was_accepted_is_finished(model: Path, tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", 2, "--model", model) as serving:
        expected = ask(serving)
        halves = []
        for pid in serving.children():  # one in each
            with stopped(pid):
                halves.append(Half(serving))
                number = len(halves) + 1
                serving.wait_for(lambda n=number: serving.metric("twopass_active_requests") == n)
        serving.process.terminate()
        serving.wait_for(lambda: serving.said().count("Shutting down") == 2)
        for half in halves:
            head, _, body = half.finish().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert scores(body) == pytest.approx(expected, abs=1e-6)
        assert serving.process.wait(SECONDS) == 0
        assert not serving.children()
        with pytest.raises(ConnectionRefusedError):
            serving.ask("/healthz")


def test_workers_do_not_outlive_their_parent(model: Path, tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", 2, "--model", model) as serving:
        workers = serving.children()
        serving.process.kill()
        serving.process.wait()
        serving.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        assert serving.said().count("Application shutdown complete") == 2


def test_one_that_cannot_start_ends_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "serve", "--workers", "2", "--port", "0", "--model", tmp_path / "absent"],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    *log, last = done.stderr.splitlines()
    assert last == "twopass: error: a worker could not start; the log says why"
    told = [json.loads(line)["message"] for line in log if "cannot start" in line]
    assert f"{tmp_path / 'absent'}" in told[0]
