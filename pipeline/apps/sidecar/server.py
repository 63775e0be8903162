"""From settings to a listening process, or several at one socket, until a signal ends them.

A balancer can send a request to another replica only until the first byte of an answer has come.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from functools import partial
from multiprocessing import parent_process
from threading import Thread
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.app import create_app
from twopass.pipeline.apps.sidecar.middleware import configure_logs
from twopass.pipeline.errors import PipelineError, ServingError
from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.engines.hardware import cores
from twopass.retriever.errors import RetrieverError

__all__ = [
    "GatheringProtocol",
    "listening",
    "run_workers",
    "serve",
]


_HELD = 65536  # bytes; a longer answer leaves in pieces, at the pace of its reader


class _Gathering:
    """A transport that sends together what is written in one step of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send now what fills a piece, the rest when this step of the loop has ended."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held += data
        if len(self._held) >= _HELD:
            self._send()

    def close(self) -> None:
        """Send what is held; then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            self._transport.write(bytes(self._held))
            self._held.clear()


class GatheringProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol of HTTP, over a transport that gathers."""

    def connection_made(self, transport: Any) -> None:
        """Begin a connection."""
        super().connection_made(_Gathering(transport, self.loop))


# Longer than balancers and clients keep a connection, which is mostly 60: else it may be closed
# under a request that is just being sent.
_KEPT = 75  # seconds
_LOADED = 120  # seconds until a worker that replaces another on SIGHUP is to have its model


def listening(settings: Settings, app: Any, *, factory: bool = False) -> uvicorn.Config:
    """Return how to serve an application, or where ``factory``, what makes one."""
    serve = settings.serve
    return uvicorn.Config(
        app,
        factory=factory,
        host=serve.host,
        port=serve.port,
        workers=serve.workers,
        http=GatheringProtocol,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(serve.drain) or 1,
        timeout_keep_alive=_KEPT,
        timeout_worker_healthcheck=_LOADED,
        forwarded_allow_ips=serve.forwarded_allow_ips,
        server_header=False,
    )


_LOG = logging.getLogger(__name__)


def run_workers(settings: Settings) -> None:
    """Serve by ``serve.workers`` processes until a signal ends this one.

    A worker that dies is replaced. SIGHUP replaces all, one after the other; SIGTTIN adds one and
    SIGTTOU takes one away. The processor's cores are shared out among them, unless
    ``OMP_NUM_THREADS`` says how many threads each has.

    Raises:
        ServingError: when a worker cannot start, for want of its model or index.

    """
    config = listening(settings, partial(_worker, settings), factory=True)
    share = max(1, cores() // settings.serve.workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    with tempfile.TemporaryDirectory(prefix="twopass-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # never an old one: its counts would stay
        workers = _Workers(config, sockets=[config.bind_socket()])
        workers.run()
    if workers.failed:
        raise ServingError("a worker could not start; the log says why")


class _Workers(Multiprocess):
    """uvicorn's, but that it sees at once when a worker ends, and kills none that lives.

    Its own asks each worker for a sign of life and waits: seconds in which it hears no signal,
    and after which a worker is killed that was only busy loading a model.

    Attributes:
        failed: whether it ended because a worker could not start.

    """

    failed = False

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended; end all when one could not start."""
        for place, process in enumerate(self.processes):
            if process.exitcode is None or self.should_exit.is_set():
                continue
            process.join()
            if process.exitcode == STARTUP_FAILURE:  # as any other one would
                self.failed = True
                self.should_exit.set()
                return
            _LOG.warning("worker %s ended by itself (%s)", process.pid, process.exitcode)
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()


def _worker(settings: Settings) -> FastAPI:
    """Make the application of a worker, in its process."""
    configure_logs(settings.serve.logs)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        return create_app(settings)
    except Exception as error:
        known = isinstance(error, PipelineError | RerankerError | RetrieverError | OSError)
        _LOG.error("a worker cannot start: %s", error, exc_info=None if known else error)
        raise SystemExit(STARTUP_FAILURE) from error  # what keeps a new one from being tried


def _end_with_parent() -> None:
    """Finish what was accepted and end when the parent is no more, however it ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings) -> None:
    """Listen until SIGTERM or SIGINT; then finish what was accepted, for ``serve.drain`` seconds.

    Raises:
        RerankerError: when the model cannot be had.
        RetrieverError: when the index cannot be opened.
        ServingError: when that befell one of several workers, whose log says what.

    """
    configure_logs(settings.serve.logs)
    if settings.serve.workers > 1:
        run_workers(settings)
    else:
        uvicorn.Server(listening(settings, create_app(settings))).run()
