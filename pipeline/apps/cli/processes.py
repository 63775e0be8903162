"""A command line run in several processes at one time, as ``torchrun`` would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from time import sleep
from typing import Any

__all__ = ["run_in_processes"]

_PROGRAM = "import sys; from twopass.pipeline.apps.cli import main; sys.exit(main())"
_LOOK = 0.1  # seconds


def run_in_processes(count: int, arguments: Sequence[str]) -> int:
    """Run ``twopass`` with these arguments in so many processes, and return their exit status.

    The processes find each other by the environment variables that torch reads. Ctrl-C reaches
    them as well; what else asks this process to end is handed on. When one fails, the others are
    ended, for they would wait for it.
    """
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(_threads(count))),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]

    def hand_on(number: int, _: Any) -> None:
        if number == signal.SIGTERM:
            _end(running)

    before = {n: signal.signal(n, hand_on) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _status(running)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(running: Sequence[subprocess.Popen[bytes]]) -> int:
    while any(process.poll() is None for process in running):
        failed = [p.returncode for p in running if p.returncode not in (None, 0, 130)]
        if failed:
            _end(running)
            for process in running:
                process.wait()
            return _shells(int(failed[0]))
        sleep(_LOOK)
    return max(_shells(process.returncode) for process in running)


def _shells(status: int) -> int:
    """Say a signal that ended a process as shells do."""
    return 128 - status if status < 0 else status


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in running:
        if process.poll() is None:
            process.terminate()


def _threads(count: int) -> int:
    return max(1, (os.cpu_count() or 1) // count)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
