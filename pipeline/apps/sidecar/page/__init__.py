"""The page: its files, what its controls start with, and fusions of scores that it has already."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from twopass.pipeline.apps.settings.second_stage import FusionSettings
from twopass.pipeline.apps.sidecar.models import NONE
from twopass.pipeline.apps.sidecar.problems import Problem, ProblemError, invalid
from twopass.pipeline.apps.sidecar.routes import route_class
from twopass.pipeline.apps.sidecar.search import fusion_of
from twopass.pipeline.apps.sidecar.service import Sidecar, sidecar_of
from twopass.pipeline.candidates import fused_order
from twopass.pipeline.fusion import Fusion

__all__ = ["open_router", "router"]

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
_MOST_COLUMNS, _MOST_DOCUMENTS = 8, 1000  # to be fused in one request
_LARGEST = 1e38  # a score, as float32 holds it

_Sidecar = Annotated[Sidecar, Depends(sidecar_of)]

_Score = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
_Column = Annotated[list[_Score | None], Field(max_length=_MOST_DOCUMENTS)]


class Columns(BaseModel):
    """Scores to fuse.

    Attributes:
        columns: (s, n) first the first stage's, last the second's, null where it did not score;
            documents in the first stage's order.
        fusion: as in a search; by default the server's own.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[list[_Column], Field(min_length=1, max_length=_MOST_COLUMNS)]
    fusion: str | dict[str, Any] | None = None


# The page itself is open to anybody; what it shows needs a key.
open_router = APIRouter(route_class=route_class(keyed=False), include_in_schema=False)
router = APIRouter(route_class=route_class(), include_in_schema=False)


@open_router.get("/")
async def index() -> Response:
    """Answer with the page."""
    return _file("index.html")


@open_router.get("/page/about")
async def about(sidecar: _Sidecar) -> dict[str, Any]:
    """Say what the controls start with."""
    settings = sidecar.settings
    return {
        "models": [*sidecar.models.names, NONE],
        "model": settings.model_name if settings.rerank else NONE,
        "searches": sidecar.retriever is not None,
        "depth": settings.depth,
        "deadline": settings.serve.deadline,
        "fusion": _fusion(settings.fusion),
        "keyed": bool(settings.serve.api_keys),
    }


@router.get("/page/judged")
async def judged(sidecar: _Sidecar) -> list[dict[str, Any]]:
    """Return the judged queries that ``serve.judged`` names, each with its documents' grades."""
    settings = sidecar.settings.serve
    if settings.judged is None:
        return []
    return await sidecar.in_thread(_judged, str(settings.judged), settings.judged_split)


@router.post("/page/fuse")
async def fuse(body: Columns, sidecar: _Sidecar) -> dict[str, list[Any]]:
    """Fuse columns of scores; return the fused scores, and the order that they make."""
    if len({len(column) for column in body.columns}) != 1:
        raise invalid("columns: expected as many scores in each, found different numbers")
    fusion = fusion_of(body.fusion) or sidecar.fusion
    return await sidecar.in_thread(_fused, body.columns, fusion)


@open_router.get("/page/{name}")
async def file(name: str) -> Response:
    """Answer with one of the page's files."""
    if name not in _names():
        raise ProblemError(Problem("missing", f"/page/{name}: there is no such file"))
    return _file(name)


def _fusion(own: FusionSettings) -> dict[str, Any]:
    """Say how the server fuses: method, parameters, and weights by the number of columns."""
    weighted = own if own.parameters.get("weights") else FusionSettings()
    weights = {n: weighted.parameters_for(n)["weights"] for n in (2, 3)}
    return {"method": own.method, "parameters": own.parameters, "weights": weights}


def _fused(columns: list[list[float | None]], fusion: Fusion) -> dict[str, list[Any]]:
    scores = np.array(columns, dtype=np.float32)  # None becomes NaN
    fused, order = fused_order(scores, fusion)
    shown = [None if np.isnan(score) else float(score) for score in fused]
    return {"fused": shown, "order": order.tolist()}


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
