"""HTTP servers for tests that fail as they are told: one that answers itself, one before another.

A fault is a status to answer with, or a word:

- ``refuse``: hang up before anything is done.
- ``lose``: do as asked, and hang up instead of answering.
- ``half``: do as asked, and hang up in the middle of the answer.
- ``slow``: do as asked, and answer a little later.
- ``hang``: do as asked, and answer when released.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Answer", "Fault", "FaultyProxy", "FaultyServer", "serving"]

Fault = int | str
Answer = tuple[int, Mapping[str, str], bytes]

_SLOW_SECONDS = 0.3
_HANG_SECONDS = 30
_OWN = {"connection", "content-length", "date", "server", "transfer-encoding", "keep-alive", "host"}


class FaultyServer(ThreadingHTTPServer):
    """Answers as its subclass says, or fails.

    Attributes:
        faults: what becomes of the next requests, in order; 200 lets one through.
        requests: method and path of all that came.
        headers: those of the last request.
        released: ends the hanging.

    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.headers: Mapping[str, str] = {}
        self.released = Event()
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return status, headers and body."""
        raise NotImplementedError

    def take_fault(self, request: str, headers: Mapping[str, str]) -> Fault:
        """Note a request, and return what becomes of it."""
        with self._lock:
            self.requests.append(request)
            self.headers = headers
            return self.faults.pop(0) if self.faults else 200

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that went away."""


class FaultyProxy(FaultyServer):
    """Stands before a real server.

    Attributes:
        target: the server's address.

    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=60)
        try:
            sent = {name: value for name, value in headers.items() if name.lower() not in _OWN}
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        fault = self.server.take_fault(f"{self.command} {self.path}", headers)
        if isinstance(fault, int) and fault != 200:
            error = {"error": {"type": "e", "reason": "not now"}, "status": fault}
            self._send((fault, _JSON, json.dumps(error).encode()))
            return
        if fault == "refuse":
            self.close_connection = True
            return
        answer = self.server.answer(self.command, self.path, headers, body)
        if fault == "hang":
            self.server.released.wait(_HANG_SECONDS)
        if fault == "slow":
            self.server.released.wait(_SLOW_SECONDS)
        if fault in ("lose", "hang"):
            self.close_connection = True
            return
        self._send(answer, half=fault == "half")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do  # noqa: N815

    def _send(self, answer: Answer, *, half: bool = False) -> None:
        status, headers, content = answer
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


_JSON = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """Let a server answer from a thread of its own while the block runs."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
