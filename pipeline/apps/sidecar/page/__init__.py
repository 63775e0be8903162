"""The page's files and what it needs to know before the first search."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.models import NONE
from twopass.pipeline.apps.sidecar.problems import Problem, ProblemError
from twopass.pipeline.apps.sidecar.routes import route_class
from twopass.pipeline.apps.sidecar.service import Sidecar, sidecar_of

__all__ = [
    "open_router",
    "router",
]


_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_WEIGHT = 0.7  # of the second stage, where the settings' fusion has no weights

_Sidecar = Annotated[Sidecar, Depends(sidecar_of)]

# The page itself may be seen by anybody; what it shows is asked for with a key.
open_router = APIRouter(route_class=route_class(keyed=False), include_in_schema=False)
router = APIRouter(route_class=route_class(), include_in_schema=False)


@open_router.get("/")
async def index() -> Response:
    """Answer with the page."""
    return _file("index.html")


@open_router.get("/page/about")
async def about(sidecar: _Sidecar) -> dict[str, Any]:
    """Say what the controls begin with."""
    settings = sidecar.settings
    return {
        "models": [*sidecar.models.names, NONE],
        "model": settings.model_name if settings.rerank else NONE,
        "searches": sidecar.retriever is not None,
        "depth": settings.depth,
        "deadline": settings.serve.deadline,
        "weight": _weight(settings),
        "keyed": bool(settings.serve.api_keys),
    }


@router.get("/page/judged")
async def judged(sidecar: _Sidecar) -> list[dict[str, Any]]:
    """Return the judged queries that ``serve.judged`` names, each with its documents' grades."""
    settings = sidecar.settings.serve
    if settings.judged is None:
        return []
    return await sidecar.in_thread(_judged, str(settings.judged), settings.judged_split)


@open_router.get("/page/{name}")
async def file(name: str) -> Response:
    """Answer with one of the page's files."""
    if name not in _names():
        raise ProblemError(Problem("missing", f"/page/{name}: there is no such file"))
    return _file(name)


def _weight(settings: Settings) -> float:
    weights = settings.fusion.parameters_for(settings.reranker.opinions).get("weights")
    if settings.fusion.method != "weighted" or not weights or not sum(weights):
        return _WEIGHT
    return float(weights[-1] / sum(weights))


@cache
def _judged(folder: str, split: str) -> list[dict[str, Any]]:
    from twopass.pipeline.evaluation import open_collection

    collection = open_collection(folder, split)
    return [
        {"query": collection.queries[id], "grades": grades}
        for id, grades in collection.qrels.items()
        if id in collection.queries
    ]


@cache
def _names() -> frozenset[str]:
    folder = files("twopass.pipeline.apps.sidecar.page") / "static"
    return frozenset(each.name for each in folder.iterdir())


def _file(name: str) -> Response:
    media = _TYPES[f".{name.rpartition('.')[2]}"]
    return Response(_content(name), media_type=media, headers=_HEADERS)


@cache
def _content(name: str) -> bytes:
    return (files("twopass.pipeline.apps.sidecar.page") / "static" / name).read_bytes()
