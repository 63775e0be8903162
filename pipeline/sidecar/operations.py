"""For those who run it: is it alive, can it serve, how does it fare."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from pipeline.sidecar.routes import route_class
from pipeline.sidecar.service import Sidecar, sidecar_of

__all__ = ["open_router", "router"]

open_router = APIRouter(route_class=route_class(keyed=False), tags=["operations"])
router = APIRouter(route_class=route_class(), tags=["operations"])

_Sidecar = Annotated[Sidecar, Depends(sidecar_of)]


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process lives; asks nothing of model or index."""
    return {"status": "ok"}


@open_router.get("/readyz", responses={503: {"description": "It cannot serve now."}})
async def readyz(sidecar: _Sidecar) -> Response:
    """Say whether requests can be served: the model is warm, the index is reachable."""
    checks = await sidecar.checks()
    ready = all(found == "ok" for found in checks.values())
    body: dict[str, Any] = {"status": "ok" if ready else "unavailable", "checks": checks}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(sidecar: _Sidecar) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(sidecar.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
