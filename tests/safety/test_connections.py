"""Clients that keep connections and send little or nothing do not keep others from being served."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .standing import Standing, standing

HEAD = b"POST /rerank HTTP/1.1\r\nHost: localhost\r\n"
BODY = b'{"query": "a", "documents": ["b"]}'
MIB = 1024 * 1024


@contextmanager
def _many_files(count: int) -> Iterator[None]:
    """Let this process, too, open as many connections as a test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _closed_after(connection: socket.socket, drip: bytes = b"") -> tuple[float, bytes]:
    """Return seconds until the other side ends a connection, and what it says before."""
    started, said = time.monotonic(), b""
    connection.settimeout(0.1)
    while time.monotonic() - started < 30:
        try:
            if drip:
                connection.sendall(drip)
            part = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if not part:
            break
        said += part
    return time.monotonic() - started, said


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A service with short limits."""
    serve = {"header_timeout": 1, "body_timeout": 1, "keep_alive": 1.5}
    with standing(tmp_path_factory.mktemp("strict"), serve=serve) as service:
        yield service


def test_two_thousand_silent_connections_keep_nobody_out(tmp_path: Path) -> None:
    with _many_files(4096), standing(tmp_path, files=1024) as service, ExitStack() as stack:
        for _ in range(2_000):
            stack.enter_context(service.connect())
        started = time.monotonic()
        for _ in range(20):
            assert service.get("/healthz")[0] == 200
        assert time.monotonic() - started < 20
        assert "idle ones are closed" in service.said()
        assert "Too many open files" not in service.said()


def test_where_all_connections_work_the_next_is_refused(tmp_path: Path) -> None:
    with standing(tmp_path, serve={"max_connections": 3}) as service, ExitStack() as stack:
        begun = HEAD + b"Content-Length: 100\r\n\r\n{"
        for _ in range(3):
            stack.enter_context(service.connect(begun))
        time.sleep(0.3)
        answer = service.ask(b"")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer


@pytest.mark.parametrize(
    ("sent", "drip", "answer"),
    [
        (b"", b"", b""),
        (b"GET /heal", b"", b"HTTP/1.1 408"),
        (HEAD, b"x", b"HTTP/1.1 408"),
        (HEAD + b"Content-Length: 1000\r\n\r\n{", b"", b"HTTP/1.1 408"),
        (HEAD + b"Content-Length: 1000\r\n\r\n{", b" ", b"HTTP/1.1 408"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"HTTP/1.1 408"),
    ],
    ids=["silence", "a cut line", "headers dripped", "a stalled body", "dripped", "in chunks"],
)
def test_what_comes_too_slowly_is_ended(
    strict: Standing, sent: bytes, drip: bytes, answer: bytes
) -> None:
    with strict.connect(sent) as connection:
        seconds, said = _closed_after(connection, drip)
    assert 0.5 < seconds < 8
    assert said[: len(answer)] == answer
    assert said or not answer


def test_a_kept_connection_is_closed_when_nothing_more_comes(strict: Standing) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with strict.connect(request) as connection:
        seconds, said = _closed_after(connection)
        assert said.startswith(b"HTTP/1.1 200")
        assert 1 < seconds < 8
    with strict.connect(request) as connection:  # and where headers begin but do not end
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        seconds, said = _closed_after(connection, b"G")
        assert 0.5 < seconds < 8
        assert b"408" in said or not said


def test_a_connection_may_be_used_for_as_long_as_requests_come(strict: Standing) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with strict.connect() as connection:
        for _ in range(8):
            connection.sendall(request[:20])
            time.sleep(0.2)
            connection.sendall(request[20:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.2)


def test_stalled_bodies_take_little_memory_and_give_it_back(tmp_path: Path) -> None:
    serve = {"body_timeout": 2, "max_bodies_bytes": 64 * MIB}
    with standing(tmp_path, serve=serve) as service, ExitStack() as stack:
        before = service.resident()
        head = HEAD + b"Content-Length: %d\r\n\r\n{" % (15 * MIB)
        connections = [stack.enter_context(service.connect(head)) for _ in range(100)]
        most = before
        for connection in connections:
            connection.settimeout(0.5)
            try:
                connection.sendall(b" " * (14 * MIB))
            except OSError:  # it has refused
                continue
            most = max(most, service.resident())
        assert most - before < 400 * MIB
        until = time.monotonic() + 40
        while service.resident() - before > 64 * MIB and time.monotonic() < until:
            time.sleep(0.2)
        assert service.resident() - before <= 64 * MIB
        assert service.get("/healthz")[0] == 200
