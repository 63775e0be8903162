"""The rerank API of Hugging Face's Text Embeddings Inference (TEI)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, Field, field_validator

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count
from twopass.pipeline.apps.sidecar.dialects.register import get_route, served_at
from twopass.pipeline.apps.sidecar.problems import Kind, Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task
from twopass.pipeline.apps.sidecar.service import sidecar_of

__all__ = ["Tei"]

_ERRORS: Mapping[Kind, tuple[int, str]] = {
    "too_large": (413, "Validation"),
    "invalid": (422, "Tokenizer"),
    "busy": (429, "Overloaded"),
    "failed": (424, "Backend"),
    "timeout": (424, "Backend"),
    "unavailable": (503, "Unhealthy"),
}


@served_at("/tei/rerank", summary="Text Embeddings Inference")
@served_at("/rerank", summary="TEI", marks={"texts"})
class Tei(Body):
    """``POST /rerank``: a bare list of scores.

    What Elasticsearch's ``hugging_face`` service adds is taken too: ``top_n``, and in its older
    versions ``documents`` and ``return_documents``.
    """

    lists: ClassVar[tuple[str, ...]] = ("texts", "documents")

    query: str
    texts: list[str] = Field(validation_alias=AliasChoices("texts", "documents"))
    truncate: bool | None = None
    truncation_direction: Literal["left", "right"] = "right"
    raw_scores: bool = False
    return_text: bool = Field(
        default=False, validation_alias=AliasChoices("return_text", "return_documents")
    )
    top_n: Count | None = None

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as TEI does."""
        status, kind = _ERRORS.get(problem.kind, (problem.status, "Validation"))
        return status, {"error": problem.message, "error_type": kind}

    @field_validator("truncation_direction", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    def task(self) -> Task:
        """Return what is to be done; a text that does not fit is cut unless truncate is false."""
        whole = self.truncate is False or self.truncation_direction == "left"
        return Task.of(self.query, self.texts, top_n=self.top_n, raw=self.raw_scores, whole=whole)

    def answer(self, done: Reranked) -> list[dict[str, Any]]:
        """Return the answer."""
        return [
            {"index": place, "score": score, **self._text(place)} for place, score in done.ranked
        ]

    def _text(self, place: int) -> dict[str, str]:
        return {"text": self.texts[place]} if self.return_text else {}


@get_route("/health", "/tei/health", words=Tei.words, tag="operations", keyed=False)
async def health(request: Request) -> Response:
    """Say whether the model is warm, as TEI and vLLM do."""
    return Response(status_code=200 if sidecar_of(request).warm else 503)


@get_route("/info", "/tei/info", words=Tei.words)
async def info(request: Request) -> Response:
    """Say what model this is and what a request may have, as TEI does."""
    sidecar = sidecar_of(request)
    model = sidecar.models.default
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return JSONResponse(
        {
            "model_id": model.name,
            "model_sha": None,
            "model_dtype": sidecar.settings.reranker.precision,
            "model_type": {"reranker": labels},
            "max_concurrent_requests": sidecar.settings.serve.max_queue,
            "max_input_length": model.scorer.max_length,
            "max_batch_tokens": sidecar.settings.reranker.token_budget,
            "max_client_batch_size": sidecar.settings.serve.max_documents,
            "auto_truncate": True,
            "version": version("twopass"),
        }
    )
