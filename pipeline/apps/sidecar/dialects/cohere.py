"""Cohere's rerank API, v1 and v2."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

from pydantic import Field

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count, Document, text_of
from twopass.pipeline.apps.sidecar.dialects.register import served_at
from twopass.pipeline.apps.sidecar.problems import Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task

__all__ = ["CohereV1", "CohereV2"]

_DOCUMENTS_A_UNIT = 100  # what Cohere bills as one search


@served_at("/cohere/v2/rerank", "/v2/rerank", summary="Cohere v2")
class CohereV2(Body):
    """``POST /v2/rerank``."""

    query: str
    documents: list[Document]
    top_n: Count | None = None
    max_tokens_per_doc: Count = 4096
    rank_fields: list[str] | None = None
    return_documents: bool = False

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as Cohere does."""
        status = 400 if problem.kind in ("invalid", "too_large") else problem.status
        return status, {"id": str(uuid4()), "message": problem.message}

    def task(self) -> Task:
        """Return what is to be done."""
        texts = [text_of(document, self.rank_fields) for document in self.documents]
        return Task.of(self.query, texts, top_n=self.top_n, document_tokens=self.max_tokens_per_doc)

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        results = [
            {"index": place, "relevance_score": score, **self._document(place)}
            for place, score in done.ranked
        ]
        return {"id": str(uuid4()), "results": results, "meta": self._meta(done, "2")}

    def _document(self, place: int) -> dict[str, Any]:
        if not self.return_documents:
            return {}
        document = self.documents[place]
        return {"document": {"text": document} if isinstance(document, str) else document}

    def _meta(self, done: Reranked, version: str) -> dict[str, Any]:
        units = math.ceil(len(self.documents) / _DOCUMENTS_A_UNIT)
        meta: dict[str, Any] = {
            "api_version": {"version": version},
            "billed_units": {"search_units": units},
            "tokens": {"input_tokens": done.tokens, "output_tokens": 0},
        }
        return {**meta, "warnings": done.warnings} if done.warnings else meta


@served_at("/cohere/v1/rerank", summary="Cohere v1")
class CohereV1(CohereV2):
    """``POST /v1/rerank``; long documents are cut, whatever ``max_chunks_per_doc`` says."""

    max_tokens_per_doc: Count = Field(4096, exclude=True)
    max_chunks_per_doc: int | None = None

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        return {**super().answer(done), "meta": self._meta(done, "1")}
