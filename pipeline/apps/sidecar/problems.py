"""What went wrong with a request, independent of any dialect's error format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from twopass.pipeline.errors import FusionError, PipelineError, SearchError
from twopass.reranker.contract.errors import (
    InputError,
    OverloadedError,
    RerankerError,
    UnscoredError,
)
from twopass.retriever.errors import QueryError, RetrieverError

__all__ = [
    "Kind",
    "Problem",
    "ProblemError",
    "invalid",
    "problem_of_error",
    "problem_of_validation",
]

Kind: TypeAlias = Literal[
    "invalid", "too_large", "unauthorized", "missing", "busy", "unavailable", "timeout", "failed"
]

STATUS: Mapping[Kind, int] = {
    "invalid": 422,
    "too_large": 413,
    "unauthorized": 401,
    "missing": 404,
    "busy": 429,
    "unavailable": 503,
    "timeout": 504,
    "failed": 500,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request cannot be answered.

    Attributes:
        kind: what sort of problem.
        message: for the caller; says what to do.
        retry_after: seconds to wait before trying again; ``None`` where that would not help.

    """

    kind: Kind
    message: str
    retry_after: float | None = None

    @property
    def status(self) -> int:
        """The HTTP status, unless a dialect uses another one."""
        return STATUS[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it, in every dialect."""
        if self.kind == "unauthorized":
            return {"WWW-Authenticate": "Bearer"}
        if self.retry_after is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class ProblemError(PipelineError):
    """A problem as an exception; the route answers it in its dialect."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def invalid(message: str) -> ProblemError:
    """Return the error of a request that cannot be understood."""
    return ProblemError(Problem("invalid", message))


def problem_of_error(error: Exception) -> Problem | None:
    """Return the problem that an error of ours stands for; ``None`` for a bug."""
    match error:
        case ProblemError():
            return error.problem
        case TimeoutError():
            return Problem("timeout", "no answer within the deadline; try again later", 1)
        case InputError() | SearchError() | QueryError() | FusionError():
            return Problem("invalid", str(error))
        case OverloadedError():
            return Problem("busy", str(error), error.retry_after)
        case UnscoredError():
            return Problem("timeout", str(error), 1)
        case RerankerError():
            return Problem("failed", str(error))
        case RetrieverError():
            return Problem("unavailable", str(error), 1)
        case _:
            return None


def problem_of_validation(details: Sequence[Mapping[str, Any]]) -> Problem:
    """Return pydantic's findings as one problem, in one line."""
    found = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in details]
    shown = "; ".join(found[:5])
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    return Problem("invalid", f"{shown}{more}")
