"""How the server listens: from settings to uvicorn's configuration."""

from __future__ import annotations

from typing import Any

import uvicorn

from pipeline.settings import Settings
from pipeline.sidecar.gathering import GatheringProtocol

__all__ = ["listening"]

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
