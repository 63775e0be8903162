"""Several processes that listen at one socket: started, kept alive, and ended together."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from functools import partial
from multiprocessing import parent_process
from threading import Thread

from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from pipeline.errors import PipelineError, ServingError
from pipeline.settings import Settings
from pipeline.sidecar.app import create_app
from pipeline.sidecar.listening import listening
from pipeline.sidecar.logs import configure_logs
from reranker.base import RerankerError
from reranker.engines.cores import cores
from retriever.base import RetrieverError

__all__ = ["run_workers"]

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
