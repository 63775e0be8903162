"""Which paths are answered in which dialect: a dialect says so where it is defined.

A path may be several dialects'. There the fields of a request decide: each dialect but one names
its marks, fields that no other dialect of the path has; the first whose mark a request has answers
it, in the order of registration, which is that of the modules' names, and the one without marks
answers all others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from twopass.pipeline.apps.sidecar.dialects.body import Body, check_documents
from twopass.pipeline.apps.sidecar.problems import (
    Problem,
    ProblemError,
    invalid,
    problem_of_validation,
)
from twopass.pipeline.apps.sidecar.rerank import Reranked, rerank
from twopass.pipeline.apps.sidecar.routes import ErrorFormat, route_class
from twopass.pipeline.apps.sidecar.service import sidecar_of

__all__ = ["get_route", "routers", "served_at"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
B = TypeVar("B", bound=type[Body])
E = TypeVar("E", bound=Endpoint)


@dataclass(frozen=True, slots=True)
class _Served:
    """A dialect at a path."""

    body: type[Body]
    summary: str
    marks: frozenset[str]


_SERVED: dict[str, list[_Served]] = {}
_GET = APIRouter()


def served_at(*paths: str, summary: str, marks: Iterable[str] = ()) -> Callable[[B], B]:
    """Register a dialect at paths; a decorator.

    Args:
        paths: where it is spoken.
        summary: its name in the description of the API.
        marks: fields that only its requests have, of the dialects at a shared path.

    """

    def register(body: B) -> B:
        for path in paths:
            _SERVED.setdefault(path, []).append(_Served(body, summary, frozenset(marks)))
        return body

    return register


def get_route(
    *paths: str, words: ErrorFormat, tag: str = "rerank", keyed: bool = True
) -> Callable[[E], E]:
    """Register what a dialect answers to GET, such as its information on the model; a decorator.

    Args:
        paths: where.
        words: how its problems are worded.
        tag: its group in the description of the API.
        keyed: whether one of ``serve.api_keys`` is needed, where there are any.

    """
    kind = route_class(words, keyed=keyed)

    def register(endpoint: E) -> E:
        for path in paths:
            _GET.add_api_route(path, endpoint, tags=[tag], route_class_override=kind)
        return endpoint

    return register


def routers() -> list[APIRouter]:
    """Return routers of all that is registered."""
    posts = APIRouter(tags=["rerank"])
    for path, served in _SERVED.items():
        _add_route(posts, path, served)
    return [posts, _GET]


def _add_route(router: APIRouter, path: str, served: Sequence[_Served]) -> None:
    lists = dict.fromkeys(name for each in served for name in each.body.lists)

    async def endpoint(request: Request) -> Response:
        sidecar = sidecar_of(request)
        given = await _json(request)
        check_documents(given, lists, sidecar.settings.serve)
        chosen = _choose(served, given)
        request.state.words = chosen.words
        try:
            body = chosen.model_validate(given)
        except ValidationError as error:
            raise ProblemError(problem_of_validation(error.errors(include_url=False))) from error
        model = sidecar.models.get(body.model or request.path_params.get("name"))
        done = await rerank(sidecar, body.task(), model)
        return JSONResponse(body.answer(done), headers={**_headers(done), **body.headers})

    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=", ".join(each.summary for each in served),
        openapi_extra={"requestBody": _described([each.body for each in served])},
        responses={int(status): {"description": text} for status, text in _STATUSES.items()},
        route_class_override=route_class(served[0].body.words if len(served) == 1 else _words),
    )


_STATUSES = {
    "401": "It expects an API key.",
    "413": "More documents, characters or bytes than are allowed.",
    "422": "A request that cannot be understood.",
    "429": "Too much to do; Retry-After says when to come again.",
    "503": "The scorer cannot be had.",
    "504": "Not every document could be scored in time.",
}


def _choose(served: Sequence[_Served], given: Any) -> type[Body]:
    fields = given.keys() if isinstance(given, Mapping) else frozenset()
    marked = (each.body for each in served if each.marks & fields)
    return next(marked, next((each.body for each in served if not each.marks), served[0].body))


def _words(problem: Problem) -> tuple[int, Any]:
    """Word a problem of a request whose dialect is not known, so that most clients find it."""
    about = {"error": problem.message, "error_type": problem.kind}
    return problem.status, {**about, "message": problem.message, "detail": problem.message}


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise invalid(f"expected a JSON object, found: {error}") from error


def _headers(done: Reranked) -> dict[str, str]:
    headers = {"X-Twopass-Status": "fallback" if done.note else "complete"}
    if done.cut:
        headers["X-Twopass-Truncated"] = str(len(done.cut))
    return headers


def _described(bodies: Sequence[type[Body]]) -> dict[str, Any]:
    schemas = [body.model_json_schema() for body in bodies]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
