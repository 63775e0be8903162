"""``twopass serve`` in processes of its own, as users run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from servers import free_port

__all__ = ["Serving", "serve"]

PROGRAM = Path(sys.executable).parent / "twopass"
SECONDS = 240  # however slow the machine is


@dataclass(frozen=True)
class Serving:
    """A service that was started.

    Attributes:
        process: what was started; the parent of the workers, if it has several.
        url: where it listens.
        log: the file of what it says.

    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> set[int]:
        """Return the ids of its workers; empty of a single process."""
        found = set()
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, rest = status.read_text().partition(" (")
                state, parent = rest.rpartition(") ")[2].split()[:2]
                command = (status.parent / "cmdline").read_bytes()
            except OSError:  # it has just ended
                continue
            if int(parent) == self.process.pid and state != "Z" and b"spawn_main" in command:
                found.add(int(pid))
        return found

    def wait_for(self, what: object) -> None:
        """Wait until a function without arguments returns something true."""
        assert callable(what)
        until = time.monotonic() + SECONDS
        while not what():
            assert time.monotonic() < until, self.said()[-3000:]
            time.sleep(0.02)

    def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        """Ask by a connection of its own; status and body of the answer.

        Not by httpx, which reads certificates for each client: tests ask again and again.
        """
        address = urlsplit(self.url)
        assert address.hostname is not None
        connection = HTTPConnection(address.hostname, address.port, timeout=SECONDS)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request("GET" if sent is None else "POST", path, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Return a number that Prometheus is told, or the sum of those of all labels."""
        text = self.ask("/metrics")[1].decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M)))

    def answers(self) -> bool:
        """Tell whether it is ready."""
        try:
            return self.ask("/readyz")[0] == 200
        except OSError:
            assert self.process.poll() is None, self.said()[-3000:]
            return False

    def starts(self) -> int:
        """Return how many workers have begun to serve until now."""
        return self.said().count("Application startup complete")


@contextmanager
def serve(folder: Path, *arguments: object, **settings: object) -> Iterator[Serving]:
    """Start ``twopass serve`` with arguments and settings (``serve__drain=9``).

    The block begins when all its workers serve; at its end they are killed.
    """
    port = free_port()
    named = {f"TWOPASS_{name.upper()}": str(value) for name, value in settings.items()}
    outside = {k: v for k, v in os.environ.items() if not k.startswith("TWOPASS_")}
    log = folder / f"log-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--port", str(port), *map(str, arguments)],
            env={**outside, "OMP_NUM_THREADS": "1", **named},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    serving = Serving(process, f"http://127.0.0.1:{port}", log)
    several = "--workers" in arguments
    wanted = int(str(arguments[arguments.index("--workers") + 1])) if several else 1
    try:
        serving.wait_for(lambda: serving.starts() >= wanted and serving.answers())
        yield serving
    finally:
        left = serving.children()
        process.kill()
        process.wait()
        for pid in left:  # a parent that is killed cannot end them
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
