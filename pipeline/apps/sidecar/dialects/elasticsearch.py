"""Elasticsearch's own inference API, for clients that ask it to rerank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count
from twopass.pipeline.apps.sidecar.dialects.register import served_at
from twopass.pipeline.apps.sidecar.problems import Kind, Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task

__all__ = ["Inference"]

_TYPES: dict[Kind, str] = {
    "invalid": "action_request_validation_exception",
    "too_large": "content_too_long_exception",
    "unauthorized": "security_exception",
    "missing": "resource_not_found_exception",
    "busy": "es_rejected_execution_exception",
    "timeout": "timeout_exception",
}


@served_at("/_inference/rerank/{name}", "/_inference/{name}", summary="Elasticsearch inference")
class Inference(Body):
    """``POST _inference/rerank/NAME``, the name being the model's."""

    headers: ClassVar[Mapping[str, str]] = {"X-Elastic-Product": "Elasticsearch"}
    lists: ClassVar[tuple[str, ...]] = ("input",)

    query: str
    input: list[str]
    top_n: Count | None = None
    return_documents: bool = False

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as Elasticsearch does."""
        status = 400 if problem.kind == "invalid" else problem.status
        reason = {"type": _TYPES.get(problem.kind, "status_exception"), "reason": problem.message}
        return status, {"error": {"root_cause": [reason], **reason}, "status": status}

    @field_validator("input", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def task(self) -> Task:
        """Return what is to be done."""
        return Task.of(self.query, self.input, top_n=self.top_n)

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        return {
            "rerank": [
                {"index": place, "relevance_score": score, **self._text(place)}
                for place, score in done.ranked
            ]
        }

    def _text(self, place: int) -> dict[str, str]:
        return {"text": self.input[place]} if self.return_documents else {}
