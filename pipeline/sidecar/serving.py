"""From settings to a listening process, or several, until a signal ends them."""

from __future__ import annotations

import os
import tempfile
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from pipeline.settings import Settings
from pipeline.sidecar.app import create_app
from pipeline.sidecar.logs import configure_logs

__all__ = ["serve"]


def serve(settings: Settings) -> None:
    """Listen until SIGTERM or SIGINT; then finish what was accepted, for ``serve.drain`` seconds.

    Raises:
        RerankerError: when the model cannot be had.
        RetrieverError: when the index cannot be opened.

    """
    configure_logs(settings.serve.logs)
    if settings.serve.workers == 1:
        uvicorn.Server(_config(settings, create_app(settings))).run()
        return
    with tempfile.TemporaryDirectory(prefix="twopass-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        config = _config(settings, partial(_worker, settings), factory=True)
        Multiprocess(config, sockets=[config.bind_socket()]).run()


def _worker(settings: Settings) -> FastAPI:
    configure_logs(settings.serve.logs)
    return create_app(settings)


def _config(settings: Settings, app: object, *, factory: bool = False) -> uvicorn.Config:
    serve = settings.serve
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an application or what makes one
        factory=factory,
        host=serve.host,
        port=serve.port,
        workers=serve.workers,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(serve.drain) or 1,
        forwarded_allow_ips=serve.forwarded_allow_ips,
        server_header=False,
    )
