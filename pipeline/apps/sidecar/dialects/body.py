"""A dialect's request: fields, the task they make, the answer, and how a problem is worded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twopass.pipeline.apps.settings.serve import ServeSettings
from twopass.pipeline.apps.sidecar.problems import (
    Problem,
    ProblemError,
    invalid,
    problem_of_validation,
)
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task, rerank
from twopass.pipeline.apps.sidecar.service import sidecar_of

__all__ = ["Body", "Count", "Document", "Most", "add_route", "text_of"]

Count = Annotated[int, Field(ge=1)]
Most = Annotated[int, Field(ge=0)]  # 0 is no bound, in some dialects
_MOST_FIELDS = 100  # each is looked for in each document
# Of documents and queries, in any dialect.
_LISTS = (
    *("documents", "texts", "queries", "input", "items"),
    *("text_1", "text_2", "data_1", "data_2"),
)
Document = str | dict[str, Any]


class Body(BaseModel):
    """A request in some dialect; fields that it does not know are passed over, as there.

    Attributes:
        model: one of ``serve.models``, or any other name for the default.

    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    headers: ClassVar[Mapping[str, str]] = {}

    model: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        """Take null for absent, as clients send it for what they leave to the service."""
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @staticmethod
    @abstractmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as this dialect's clients expect it: status and body."""

    @abstractmethod
    def task(self) -> Task:
        """Return what is to be done."""

    @abstractmethod
    def answer(self, done: Reranked) -> Any:
        """Return the answer, fit for JSON."""


def text_of(document: Document, fields: Sequence[str] | None = None) -> str:
    """Return what is read of a document: a string as it is, of an object its fields, a line each.

    Raises:
        ProblemError: when an object has none of them.

    """
    if isinstance(document, str):
        return document
    found = [str(document[name]) for name in fields or ("text",) if document.get(name) is not None]
    if not found:
        wanted = " or ".join(fields or ("text",))
        raise invalid(
            f"expected each document as a string or an object with {wanted}, found one with "
            f"{', '.join(map(repr, islice(document, 10))) or 'nothing'}"
        )
    return "\n".join(found)


def add_route(
    router: APIRouter,
    path: str,
    *bodies: type[Body],
    pick: Callable[[Any], type[Body]] | None = None,
    summary: str,
) -> None:
    """Let a router answer reranking requests.

    Args:
        router: the router.
        path: where.
        bodies: the dialects that are spoken there.
        pick: tells from a request's fields which one it is in; the first by default.
        summary: for the description of the API.

    """
    choose = pick or (lambda _: bodies[0])

    async def endpoint(request: Request) -> Response:
        sidecar = sidecar_of(request)
        given = await _json(request)
        _check_documents(given, sidecar.settings.serve)
        chosen = choose(given)
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
        summary=summary,
        openapi_extra={"requestBody": _described(bodies)},
        responses={int(status): {"description": text} for status, text in _STATUSES.items()},
    )


_STATUSES = {
    "401": "It expects an API key.",
    "413": "More documents, characters or bytes than are allowed.",
    "422": "A request that cannot be understood.",
    "429": "Too much to do; Retry-After says when to come again.",
    "503": "The scorer cannot be had.",
    "504": "Not every document could be scored in time.",
}


def _check_documents(given: Any, serve: ServeSettings) -> None:
    """Refuse what is too much, or no document, before any of it is validated one by one.

    A validation collects a finding for each wrong document, and for each way in which it might
    have been right: a megabyte of zeros becomes a gigabyte of them.

    Raises:
        ProblemError: for the first document that is neither a string nor an object, or when there
            are more than ``serve.max_documents``, or more than 100 fields to read of each.

    """
    if not isinstance(given, Mapping):
        return
    fields = given.get("rank_fields")
    if isinstance(fields, list) and len(fields) > _MOST_FIELDS:
        raise invalid(f"rank_fields: expected at most {_MOST_FIELDS}, found {len(fields)}")
    for name in _LISTS:
        listed = given.get(name)
        if not isinstance(listed, list):
            continue
        if len(listed) > serve.max_documents:
            raise ProblemError(
                Problem(
                    "too_large",
                    f"expected at most {serve.max_documents} documents, found {len(listed)}; "
                    "send them in several requests",
                )
            )
        for place, each in enumerate(listed):
            if not isinstance(each, (str, Mapping)):
                raise invalid(
                    f"{name}.{place}: expected a string or an object, found {type(each).__name__}"
                )


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
