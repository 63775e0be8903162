"""``/search``: both stages over the configured index, with what each of them said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.models import NONE, Model
from twopass.pipeline.apps.sidecar.problems import Problem, ProblemError, invalid
from twopass.pipeline.apps.sidecar.routes import route_class
from twopass.pipeline.apps.sidecar.service import Sidecar, sidecar_of
from twopass.pipeline.fusion import Fusion, fusion
from twopass.pipeline.ranking import Ranking
from twopass.reranker.contract.deadlines import Deadline
from twopass.retriever.base import Retriever
from twopass.retriever.filters import Filter, parse_filter

__all__ = ["SearchBody", "fusion_of", "router"]

_MOST_NAMES = 100
_GRACE = 0.5  # of the deadline: for highlights and explanations, where scoring took all of it
_MOST = 10_000  # results or candidates: what a server gives at once

_Sidecar = Annotated[Sidecar, Depends(sidecar_of)]
_Count = Annotated[int, Field(ge=1, le=_MOST)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SearchBody(BaseModel):
    """A search.

    Attributes:
        query: what is searched for.
        k: how many results; by default the settings' ``k``.
        model: which second stage: one of ``serve.models`` or the default's name; ``none`` for the
            first stage only. By default the default, or none where ``rerank`` is off.
        depth: how many candidates the second stage reads.
        deadline: seconds; candidates that were not scored by then follow in the first stage's
            order, and the status says so. At most ``serve.deadline``.
        filter: only documents that match it, as ``{"term": {"lang": "en"}}``.
        fusion: a method's name, or an object with ``method`` and its parameters.
        text: whether to answer with the documents' texts.
        highlight: whether to answer with the fragments that match, as HTML; hits whose turn does
            not come within one and a half times the deadline have none.
        explain: whether to answer with every term's part in the first stage's score, for a query
            of at most 1,024 different terms; in the same time.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Annotated[str, Field(min_length=1)]
    k: _Count | None = None
    model: str | None = None
    depth: _Count | None = None
    deadline: _Seconds | None = None
    filter: dict[str, Any] | None = None
    fusion: str | dict[str, Any] | None = None
    text: bool = True
    highlight: bool = False
    explain: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_few_names(cls, given: Any) -> Any:
        """Refuse many names at once, before each becomes a finding of its own."""
        if isinstance(given, Mapping) and len(given) > _MOST_NAMES:
            raise ValueError(f"expected at most {_MOST_NAMES} names, found {len(given)}")
        return given


router = APIRouter(route_class=route_class(), tags=["search"])
_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "No index is configured."},
    422: {"description": "A request that cannot be understood."},
    503: {"description": "The first stage does not answer."},
}


@router.post("/search", responses=_RESPONSES)
async def search(body: SearchBody, sidecar: _Sidecar) -> Response:
    """Search the configured index by both stages.

    Where the second stage fails, is slow or has too much to do, the answer is the first stage's,
    and ``status`` and the header ``X-Twopass-Status`` say so.
    """
    return await _search(body, sidecar)


@router.get("/search", responses=_RESPONSES)
async def search_simply(
    sidecar: _Sidecar,
    q: Annotated[str, Query(min_length=1, description="what is searched for")],
    k: Annotated[int | None, Query(ge=1, le=_MOST, description="how many results")] = None,
    model: Annotated[str | None, Query(description="which second stage, or none")] = None,
) -> Response:
    """Search by a query and few options, as from a browser."""
    return await _search(SearchBody(query=q, k=k, model=model), sidecar)


async def _search(body: SearchBody, sidecar: Sidecar) -> Response:
    if sidecar.retriever is None:
        message = "no index is configured; name one by 'twopass serve --index' or retriever.index"
        raise ProblemError(Problem("missing", message))
    serve = sidecar.settings.serve
    if len(body.query) > serve.max_characters:
        message = f"expected a query of at most {serve.max_characters} characters"
        raise ProblemError(Problem("too_large", message))
    model = _model(body.model, sidecar)
    seconds = min(body.deadline or serve.deadline, serve.deadline)
    until, extras = Deadline.after(seconds), Deadline.after(seconds * (1 + _GRACE))
    ranking = await sidecar.search(
        sidecar.retriever,
        body.query,
        body.k or sidecar.settings.k,
        model=model,
        depth=body.depth,
        fusion=fusion_of(body.fusion),
        filter=await _filter(body, sidecar),
        deadline=until.left,
    )
    _count(ranking, model, sidecar)
    tracing.search(ranking)
    answer = await sidecar.in_thread(_answer, body, ranking, model, sidecar.retriever, extras)
    return JSONResponse(answer, headers={"X-Twopass-Status": ranking.status.outcome})


async def _filter(body: SearchBody, sidecar: Sidecar) -> Filter | None:
    """Read the filter; in a thread, since it may have tens of thousands of values."""
    return None if body.filter is None else await sidecar.in_thread(parse_filter, body.filter)


def _model(name: str | None, sidecar: Sidecar) -> Model | None:
    if name == NONE or (name is None and not sidecar.settings.rerank):
        return None
    return sidecar.models.named(name)


def fusion_of(wanted: str | dict[str, Any] | None) -> Fusion | None:
    """Return the fusion that a request names; None where it names none.

    Raises:
        ProblemError: when it is not named by ``method``.
        FusionError: when it is unknown, or a parameter cannot be used.

    """
    if wanted is None:
        return None
    named = {"method": wanted} if isinstance(wanted, str) else dict(wanted)
    method = named.pop("method", None)
    if not isinstance(method, str):
        raise invalid("fusion: expected a method's name, or an object with 'method'")
    try:
        return fusion(method, **named)
    except TypeError as error:
        raise invalid(f"fusion: {error}") from error


def _count(ranking: Ranking, model: Model | None, sidecar: Sidecar) -> None:
    metrics, status = sidecar.metrics, ranking.status
    for stage, seconds in asdict(ranking.timings).items():
        metrics.stages.labels(stage).observe(seconds)
    if model is not None:
        metrics.pairs.labels(model.name).observe(status.candidates)
    if status.outcome in ("partial", "failed"):
        metrics.degradations.labels("search", status.outcome).inc()


def _answer(
    body: SearchBody,
    ranking: Ranking,
    model: Model | None,
    retriever: Retriever,
    until: Deadline,
) -> dict[str, Any]:
    """Return the answer, its hits without highlights and explanations once time is up."""
    hits = ranking.to_dicts()
    highlight = getattr(retriever, "highlight", None) if body.highlight else None
    explain = getattr(retriever, "explain", None) if body.explain else None
    for hit in hits:
        if until.passed:
            highlight = explain = None
        if highlight is not None:
            hit["highlights"] = highlight(body.query, hit["text"], html=True)
        if explain is not None:
            hit["explanation"] = explain(body.query, hit["id"]).to_dict()
        if not body.text:
            del hit["text"]
    return {
        "query": body.query,
        "model": NONE if model is None else model.name,
        "status": asdict(ranking.status),
        "seconds": {**asdict(ranking.timings), "total": ranking.timings.total},
        "hits": hits,
    }
