"""What every route does around its own work: key, body's limit, a client that leaves, errors.

A router is given the way in which its dialect words a problem::

    router = APIRouter(route_class=route_class(words))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.types import Message

from twopass.pipeline.apps.sidecar.cancellation import while_connected
from twopass.pipeline.apps.sidecar.keys import key_in, matches
from twopass.pipeline.apps.sidecar.problems import Problem, ProblemError, of_error, of_validation
from twopass.pipeline.apps.sidecar.service import sidecar_of

__all__ = ["Words", "plain", "route_class"]

_LOG = logging.getLogger(__name__)

Words: TypeAlias = Callable[[Problem], tuple[int, Any]]
_Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


def plain(problem: Problem) -> tuple[int, Any]:
    """Word a problem as our own routes do: status and body."""
    return problem.status, {"error": {"type": problem.kind, "message": problem.message}}


def route_class(words: Words = plain, *, keyed: bool = True) -> type[APIRoute]:
    """Return the class of a router's routes.

    Args:
        words: a problem -> status and JSON body, as the dialect's clients expect them; a route
            that learns it only from the request sets ``request.state.words``.
        keyed: whether one of ``serve.api_keys`` is asked for, where there are any.

    """

    class Route(APIRoute):
        def get_route_handler(self) -> _Handler:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    if keyed:
                        _check_key(request)
                    whole = await _read(request)
                    return await while_connected(request.receive, handler(whole))
                except Exception as error:
                    problem = _problem(error)
                    sidecar_of(request).metrics.refused.labels(problem.kind).inc()
                    return _answer(problem, getattr(request.state, "words", words))

            return handle

    return Route


def _answer(problem: Problem, words: Words) -> Response:
    status, body = words(problem)
    return JSONResponse(body, status, headers=problem.headers)


def _problem(error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return of_validation(error.errors())
    if isinstance(error, HTTPException) and error.status_code == 400:  # of the body's parser
        return Problem(
            "invalid", f"expected a JSON object, found: {error.__cause__ or error.detail}"
        )
    problem = of_error(error)
    if problem is None or problem.kind == "failed":
        _LOG.error("a request failed: %s", error, exc_info=error)
    return problem or Problem("failed", "the server failed; its log says more")


def _check_key(request: Request) -> None:
    keys = sidecar_of(request).settings.serve.api_keys
    if keys and not matches(key_in(request.headers) or "", keys):
        message = "expected an API key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
        raise ProblemError(Problem("unauthorized", message))


async def _read(request: Request) -> Request:
    """Read the whole body, as far as the limit allows, and hand on a request that has it."""
    limit = sidecar_of(request).settings.serve.max_body_bytes
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            message = f"expected a body of at most {limit} bytes, found more"
            raise ProblemError(Problem("too_large", message))
        parts.append(part)
    body = {"type": "http.request", "body": b"".join(parts), "more_body": False}

    async def receive() -> Message:
        return body

    return Request(request.scope, receive)
