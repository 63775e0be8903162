"""Jina's rerank API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count, Document, add_route, text_of
from twopass.pipeline.apps.sidecar.problems import Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task
from twopass.pipeline.apps.sidecar.routes import route_class

__all__ = ["Jina", "router"]


class Jina(Body):
    """``POST /v1/rerank``; documents come back unless they are not wanted."""

    query: str
    documents: list[Document]
    top_n: Count | None = None
    return_documents: bool = True

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as Jina does."""
        return problem.status, {"detail": problem.message}

    def task(self) -> Task:
        """Return what is to be done."""
        return Task.of(self.query, [text_of(each) for each in self.documents], top_n=self.top_n)

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        return {
            "model": self.model or done.model,
            "object": "list",
            "usage": {"total_tokens": done.tokens, "prompt_tokens": done.tokens},
            "results": [
                {"index": place, "relevance_score": score, **self._document(place)}
                for place, score in done.ranked
            ],
        }

    def _document(self, place: int) -> dict[str, Any]:
        if not self.return_documents:
            return {}
        return {"document": {"text": text_of(self.documents[place])}}


router = APIRouter(prefix="/jina", tags=["rerank"], route_class=route_class(Jina.words))
add_route(router, "/v1/rerank", Jina, summary="Jina")
