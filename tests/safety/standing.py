"""The HTTP service in a process of its own, with a scorer that takes no time."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from servers import free_port

__all__ = ["Standing", "standing"]

SECONDS = 60  # however slow the machine is
_PROGRAM = """
import json, sys
import numpy as np
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar import server, service

class Zeros:
    def predict(self, pairs):
        return np.zeros(len(pairs), dtype=np.float32)

service.Sidecar.open = classmethod(lambda cls, settings: cls(settings, Zeros()))
server.serve(Settings.model_validate(json.loads(sys.argv[1])))
"""


@dataclass(frozen=True)
class Standing:
    """A service that listens.

    Attributes:
        process: its.
        port: on loopback.
        log: the file of what it says.

    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Open a connection, and send something."""
        connection = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        if sent:
            connection.sendall(sent)
        return connection

    def ask(self, request: bytes) -> bytes:
        """Send a request by a connection of its own, and return all that comes until its end."""
        with self.connect(request) as connection:
            return _rest(connection)

    def get(self, path: str, *headers: str) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        lines = [f"GET {path} HTTP/1.1", "Connection: close", *headers]
        if not any(header.lower().startswith("host:") for header in headers):
            lines.append("Host: localhost")
        answer = self.ask("\r\n".join([*lines, "", ""]).encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def said(self) -> str:
        return self.log.read_text()

    def resident(self) -> int:
        """Return how much memory it takes, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


def _rest(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@contextmanager
def standing(folder: Path, *, files: int | None = None, **settings: Any) -> Iterator[Standing]:
    """Serve until the block ends.

    Args:
        folder: for the log.
        files: how many the process may open, at most.
        settings: sections by name; those of ``serve`` get a free port.

    """
    port = free_port()
    settings["serve"] = {"port": port, **settings.get("serve", {})}
    limit = None
    if files is not None:
        limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files))
    log = folder / f"log-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(settings)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=limit,
        )
    serving = Standing(process, port, log)
    try:
        _wait_for(serving)
        yield serving
    finally:
        process.kill()
        process.wait()


def _wait_for(serving: Standing) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and serving.process.poll() is None:
        try:
            if serving.get("/healthz")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(serving.said()[-3000:])
