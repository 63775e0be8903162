"""The HTTP server: one listening process, or several workers that share a socket.

It runs until a signal ends it. Small writes of an answer are sent together, because a load balancer
can send a request to another replica only before the first byte of the answer.
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
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.app import create_app
from twopass.pipeline.apps.sidecar.connections import BoundedProtocol, LimitedConfig
from twopass.pipeline.apps.sidecar.hosts import exposed
from twopass.pipeline.apps.sidecar.middleware import configure_logs
from twopass.pipeline.errors import PipelineError, ServingError
from twopass.reranker.contract.errors import RerankerError
from twopass.reranker.engines.hardware import cores
from twopass.retriever.errors import RetrieverError

__all__ = [
    "CoalescingProtocol",
    "run_workers",
    "serve",
    "uvicorn_config",
]


_HELD = 65536  # bytes; a longer answer is sent in pieces, as fast as the client reads


class _CoalescingTransport:
    """A transport that sends all writes of one step of the event loop together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send full pieces at once, the rest at the end of this step of the event loop."""
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


class CoalescingProtocol(BoundedProtocol):
    """The HTTP protocol over a transport that coalesces writes."""

    def connection_made(self, transport: Any) -> None:
        """Wrap the transport of a new connection."""
        super().connection_made(_CoalescingTransport(transport, self.loop))


_LOADED = 120  # seconds for a worker that replaces another on SIGHUP to load its model


def uvicorn_config(settings: Settings, app: Any, *, factory: bool = False) -> uvicorn.Config:
    """Return uvicorn's configuration for an application, or for a factory of one."""
    serve = settings.serve
    return LimitedConfig(
        app,
        serve,
        factory=factory,
        host=serve.host,
        port=serve.port,
        workers=serve.workers,
        http=CoalescingProtocol,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(serve.drain) or 1,
        timeout_worker_healthcheck=_LOADED,
        forwarded_allow_ips=serve.forwarded_allow_ips,
        server_header=False,
    )


_LOG = logging.getLogger(__name__)


def run_workers(settings: Settings) -> None:
    """Serve with ``serve.workers`` processes until a signal ends this one.

    A worker that dies is replaced. SIGHUP replaces all, one after another; SIGTTIN adds one and
    SIGTTOU removes one. The processor's cores are divided among them, unless
    ``OMP_NUM_THREADS`` sets the number of threads of each.

    Raises:
        ServingError: when a worker cannot start, because its model or index cannot be loaded.

    """
    config = uvicorn_config(settings, partial(_worker, settings), factory=True)
    share = max(1, cores() // settings.serve.workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    with tempfile.TemporaryDirectory(prefix="twopass-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = (
            folder  # always a new folder: the counts of an old one would remain
        )
        workers = _Workers(config, sockets=[config.bind_socket()])
        workers.run()
    if workers.failed:
        raise ServingError("a worker could not start; the log says why")


class _Workers(Multiprocess):
    """uvicorn's supervisor, except that it notices at once when a worker ends, and kills none.

    The original pings each worker and waits: for seconds it handles no signal, and then it kills
    workers that are only busy loading a model.

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
            if process.exitcode == STARTUP_FAILURE:  # as every other worker would
                self.failed = True
                self.should_exit.set()
                return
            _LOG.warning("worker %s ended by itself (%s)", process.pid, process.exitcode)
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()


def _worker(settings: Settings) -> FastAPI:
    """Create a worker's application, in its process."""
    configure_logs(settings.serve.logs)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        return create_app(settings)
    except Exception as error:
        known = isinstance(error, PipelineError | RerankerError | RetrieverError | OSError)
        _LOG.error("a worker cannot start: %s", error, exc_info=None if known else error)
        raise SystemExit(STARTUP_FAILURE) from error  # this status prevents a restart


def _end_with_parent() -> None:
    """Finish accepted requests and end when the parent has ended, for whatever reason."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: Settings) -> None:
    """Listen until SIGTERM or SIGINT; then finish accepted requests, for ``serve.drain`` seconds.

    Raises:
        RerankerError: when the model cannot be loaded.
        RetrieverError: when the index cannot be opened.
        ServingError: when one of several workers could not start; the log says why.

    """
    configure_logs(settings.serve.logs)
    if warning := exposed(settings.serve):
        _LOG.warning(warning)
    if settings.serve.workers > 1:
        run_workers(settings)
    else:
        uvicorn.Server(uvicorn_config(settings, create_app(settings))).run()
