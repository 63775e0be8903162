"""What every route does around its own work: key, body limit, disconnects, error bodies.

A router is created with the error format of its dialect::

    router = APIRouter(route_class=route_class(error_body))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message

from twopass.pipeline.apps.sidecar.cancellation import CLIENT_CLOSED_REQUEST, cancel_on_disconnect
from twopass.pipeline.apps.sidecar.keys import key_in, matches
from twopass.pipeline.apps.sidecar.problems import (
    Problem,
    ProblemError,
    problem_of_error,
    problem_of_validation,
)
from twopass.pipeline.apps.sidecar.service import sidecar_of

__all__ = ["Bodies", "ErrorFormat", "default_error_format", "route_class"]

_LOG = logging.getLogger(__name__)

ErrorFormat: TypeAlias = Callable[[Problem], tuple[int, Any]]
_Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


def default_error_format(problem: Problem) -> tuple[int, Any]:
    """Return status and body of a problem, as our own routes answer it."""
    return problem.status, {"error": {"type": problem.kind, "message": problem.message}}


def route_class(words: ErrorFormat = default_error_format, *, keyed: bool = True) -> type[APIRoute]:
    """Return the class of a router's routes.

    Args:
        words: a problem -> status and JSON body, as the dialect's clients expect them; a route
            that knows it only from the request sets ``request.state.words``.
        keyed: whether one of ``serve.api_keys`` is required, if there are any.

    """

    class Route(APIRoute):
        def get_route_handler(self) -> _Handler:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    if keyed:
                        _check_key(request)
                    with request.app.state.bodies.part() as part:
                        whole = await _read(request, part)
                        return await cancel_on_disconnect(request.receive, handler(whole))
                except ClientDisconnect:  # before all of its body had come
                    return Response(status_code=CLIENT_CLOSED_REQUEST)
                except Exception as error:
                    problem = _problem(error)
                    sidecar_of(request).metrics.refused.labels(problem.kind).inc()
                    return _answer(problem, getattr(request.state, "words", words))

            return handle

    return Route


def _answer(problem: Problem, words: ErrorFormat) -> Response:
    status, body = words(problem)
    return JSONResponse(body, status, headers=problem.headers)


def _problem(error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return problem_of_validation(error.errors())
    if isinstance(error, HTTPException) and error.status_code == 400:  # of the body's parser
        return Problem(
            "invalid", f"expected a JSON object, found: {error.__cause__ or error.detail}"
        )
    problem = problem_of_error(error)
    if problem is None or problem.kind == "failed":
        _LOG.error("a request failed: %s", error, exc_info=error)
    return problem or Problem("failed", "the server failed; its log says more")


def _check_key(request: Request) -> None:
    keys = sidecar_of(request).settings.serve.api_keys
    if keys and not matches(key_in(request.headers) or "", keys):
        message = "expected an API key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
        raise ProblemError(Problem("unauthorized", message))


class Bodies:
    """How many bytes of requests' bodies are in memory, of all that are being answered.

    Args:
        limit: bytes at most.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @contextmanager
    def part(self) -> Iterator[Callable[[int], None]]:
        """Yield what counts the bytes of a request, until it is answered.

        Raises:
            ProblemError: where there are too many bytes.

        """
        own = 0

        def take(size: int) -> None:
            nonlocal own
            if self._taken + size > self._limit:
                message = "the requests that are being received are too large together"
                raise ProblemError(Problem("busy", message, 1))
            own += size
            self._taken += size

        try:
            yield take
        finally:
            self._taken -= own


async def _read(request: Request, take: Callable[[int], None]) -> Request:
    """Read the whole body, up to the limit, and return a request that contains it."""
    limit = sidecar_of(request).settings.serve.max_body_bytes
    content = bytearray()
    async for part in request.stream():
        take(len(part))
        if len(content) + len(part) > limit:
            message = f"expected a body of at most {limit} bytes, found more"
            raise ProblemError(Problem("too_large", message))
        content += part
    body = {"type": "http.request", "body": bytes(content), "more_body": False}

    async def receive() -> Message:
        return body

    return Request(request.scope, receive)
