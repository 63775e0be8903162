"""The application: routers, health and metrics routes, middleware, start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar import page, search
from twopass.pipeline.apps.sidecar.dialects.register import routers
from twopass.pipeline.apps.sidecar.hosts import KnownHosts
from twopass.pipeline.apps.sidecar.middleware import RequestMiddleware
from twopass.pipeline.apps.sidecar.proxy.proxy import METHODS
from twopass.pipeline.apps.sidecar.routes import Bodies, route_class
from twopass.pipeline.apps.sidecar.service import Sidecar, sidecar_of

__all__ = [
    "create_app",
    "health_router",
    "metrics_router",
]


health_router = APIRouter(route_class=route_class(keyed=False), tags=["operations"])
metrics_router = APIRouter(route_class=route_class(), tags=["operations"])

_Sidecar = Annotated[Sidecar, Depends(sidecar_of)]


@health_router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer that the process is alive, without using model or index."""
    return {"status": "ok"}


@health_router.get("/readyz", responses={503: {"description": "It cannot serve now."}})
async def readyz(sidecar: _Sidecar) -> Response:
    """Answer whether requests can be served: the model is warm, the index is reachable."""
    checks = await sidecar.checks()
    ready = all(found == "ok" for found in checks.values())
    body: dict[str, Any] = {"status": "ok" if ready else "unavailable", "checks": checks}
    return JSONResponse(body, 200 if ready else 503)


@metrics_router.get("/metrics", response_class=PlainTextResponse)
async def metrics(sidecar: _Sidecar) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(sidecar.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@metrics_router.get("/openapi.json", include_in_schema=False)
async def description(request: Request) -> dict[str, Any]:
    """Return the description of the API."""
    app: FastAPI = request.app
    return app.openapi()


# The order matters: a later router's pattern may match an earlier one's paths.
_ROUTERS = (
    health_router,
    metrics_router,
    page.router,
    page.open_router,
    search.router,
)


def create_app(settings: Settings, sidecar: Sidecar | None = None) -> FastAPI:
    """Return the service as an application.

    Args:
        settings: all settings.
        sidecar: what it serves with; by default, built from the settings.

    Raises:
        RerankerError: when the model cannot be loaded.
        RetrieverError: when the index cannot be opened.

    """
    sidecar = sidecar or Sidecar.open(settings)
    app = FastAPI(
        title="twopass",
        summary="Reranking for any client, and two-stage search.",
        version=version("twopass"),
        lifespan=_lifespan,
        openapi_url=None,  # ours requires a key; FastAPI's pages load scripts from another site
        telemetry={"tracing": False},  # a request has one span, RequestMiddleware's
    )
    app.state.sidecar = sidecar
    app.state.bodies = Bodies(settings.serve.max_bodies_bytes)
    app.add_middleware(KnownHosts, serve=settings.serve)
    app.add_middleware(RequestMiddleware, metrics=sidecar.metrics)
    app.add_exception_handler(HTTPException, _http_error)
    for router in (*_ROUTERS, *routers()):
        app.include_router(router)
    if sidecar.proxy is not None:  # last: it matches every path that no other route has
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
    """Answer what no route matches: an unknown path, a wrong method."""
    found = error if isinstance(error, HTTPException) else HTTPException(500)
    body = {"error": {"type": "missing", "message": f"{request.url.path}: {found.detail}"}}
    return JSONResponse(body, found.status_code, headers=found.headers)
