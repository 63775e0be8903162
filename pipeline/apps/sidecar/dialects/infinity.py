"""Infinity's rerank API."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count, Document, text_of
from twopass.pipeline.apps.sidecar.dialects.register import served_at
from twopass.pipeline.apps.sidecar.problems import Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task

__all__ = ["Infinity"]


@served_at("/infinity/rerank", summary="Infinity")
class Infinity(Body):
    """``POST /rerank``; a document comes back as a plain string, if it is wanted."""

    query: str
    documents: list[Document]
    top_n: Count | None = None
    raw_scores: bool = False
    return_documents: bool = False

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as Infinity does, which took it from OpenAI."""
        about = {"message": problem.message, "type": problem.kind, "param": None}
        return problem.status, {"error": {**about, "code": problem.status}}

    def task(self) -> Task:
        """Return what is to be done."""
        texts = [text_of(each) for each in self.documents]
        return Task.of(self.query, texts, top_n=self.top_n, raw=self.raw_scores)

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        return {
            "object": "rerank",
            "results": [
                {"relevance_score": score, "index": place, "document": self._document(place)}
                for place, score in done.ranked
            ],
            "model": self.model or done.model,
            "usage": {"prompt_tokens": done.tokens, "total_tokens": done.tokens},
            "id": f"infinity-{uuid4()}",
            "created": int(time.time()),
        }

    def _document(self, place: int) -> str | None:
        return text_of(self.documents[place]) if self.return_documents else None
