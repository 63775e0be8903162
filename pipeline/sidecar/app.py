"""The application: routers, middleware, and what is loaded before the first request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from pipeline.settings import Settings
from pipeline.sidecar import operations, search
from pipeline.sidecar.dialects import routers
from pipeline.sidecar.middleware import Observed
from pipeline.sidecar.page import page
from pipeline.sidecar.proxy.proxy import METHODS
from pipeline.sidecar.service import Sidecar

__all__ = ["create_app"]

# In this order: a later one's pattern may take in an earlier one's paths.
_ROUTERS = (
    operations.open_router,
    operations.router,
    page.router,
    page.open_router,
    search.router,
    *routers(),
)


def create_app(settings: Settings, sidecar: Sidecar | None = None) -> FastAPI:
    """Make the service.

    Args:
        settings: all of the pipeline's.
        sidecar: what it serves with; by default what the settings say.

    Raises:
        RerankerError: when the model cannot be had.
        RetrieverError: when the index cannot be opened.

    """
    sidecar = sidecar or Sidecar.open(settings)
    app = FastAPI(
        title="twopass",
        summary="Reranking for any client, and two-stage search.",
        version=version("twopass"),
        lifespan=_lifespan,
        telemetry={"tracing": False},  # a request has one span, that of Observed
    )
    app.state.sidecar = sidecar
    app.add_middleware(Observed, metrics=sidecar.metrics)
    app.add_exception_handler(HTTPException, _http_error)
    for router in _ROUTERS:
        app.include_router(router)
    if sidecar.proxy is not None:  # the last: it takes all paths that nobody else has
        app.add_route("/{path:path}", sidecar.proxy.handle, METHODS, include_in_schema=False)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    sidecar: Sidecar = app.state.sidecar
    await sidecar.start()
    try:
        yield
    finally:
        await sidecar.stop()


async def _http_error(request: Request, error: Exception) -> Response:
    """Word what no route of ours has answered: an unknown path, a wrong method."""
    found = error if isinstance(error, HTTPException) else HTTPException(500)
    body = {"error": {"type": "missing", "message": f"{request.url.path}: {found.detail}"}}
    return JSONResponse(body, found.status_code, headers=found.headers)
