"""``twopass serve`` in a process of its own, as users run it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

__all__ = ["served"]

_START = 120  # seconds


@contextmanager
def served(**settings: str) -> Iterator[str]:
    """Start a sidecar with settings by name (``PROXY__URL="http://..."``); yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = {f"TWOPASS_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", "from twopass.pipeline.apps.cli import main; main()", "serve"]
    process = subprocess.Popen(
        [*command, "--port", str(port)], env=os.environ | named, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(_START * 10):
        try:
            if process.poll() is None and httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError("twopass serve did not start; run it by hand to see why")
