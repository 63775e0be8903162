"""A dialect's request: fields, the task they make, the answer, and how a problem is worded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from twopass.pipeline.apps.settings.serve import ServeSettings
from twopass.pipeline.apps.sidecar.problems import (
    Problem,
    ProblemError,
    invalid,
)
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task

__all__ = ["Body", "Count", "Document", "Most", "check_documents", "text_of"]

Count = Annotated[int, Field(ge=1)]
Most = Annotated[int, Field(ge=0)]  # 0 is no bound, in some dialects
_MOST_FIELDS = 100  # each is looked for in each document
Document = str | dict[str, Any]


class Body(BaseModel):
    """A request in some dialect; fields that it does not know are passed over, as there.

    Attributes:
        headers: of its answers.
        lists: the fields, by all their names, that list documents or queries.
        model: one of ``serve.models``, or any other name for the default.

    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    headers: ClassVar[Mapping[str, str]] = {}
    lists: ClassVar[tuple[str, ...]] = ("documents",)

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


def check_documents(given: Any, names: Iterable[str], serve: ServeSettings) -> None:
    """Refuse what is too much, or no document, before any of it is validated one by one.

    A validation collects a finding for each wrong document, and for each way in which it might
    have been right: a megabyte of zeros becomes a gigabyte of them.

    Args:
        given: the request's JSON.
        names: the fields that list documents or queries.
        serve: the settings.

    Raises:
        ProblemError: for the first document that is neither a string nor an object, or when there
            are more than ``serve.max_documents``, or more than 100 fields to read of each.

    """
    if not isinstance(given, Mapping):
        return
    fields = given.get("rank_fields")
    if isinstance(fields, list) and len(fields) > _MOST_FIELDS:
        raise invalid(f"rank_fields: expected at most {_MOST_FIELDS}, found {len(fields)}")
    for name in names:
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
