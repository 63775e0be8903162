"""From settings to a listening process, or several, until a signal ends them."""

from __future__ import annotations

import uvicorn

from pipeline.settings import Settings
from pipeline.sidecar.app import create_app
from pipeline.sidecar.listening import listening
from pipeline.sidecar.logs import configure_logs
from pipeline.sidecar.workers import run_workers

__all__ = ["serve"]


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
