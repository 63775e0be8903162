"""Jina's rerank API."""

from __future__ import annotations

from typing import Any

from twopass.pipeline.apps.sidecar.dialects.body import Body, Count, Document, text_of
from twopass.pipeline.apps.sidecar.dialects.cohere import CohereV1
from twopass.pipeline.apps.sidecar.dialects.register import served_at
from twopass.pipeline.apps.sidecar.problems import Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked, Task

__all__ = ["CohereOrJina", "Jina"]


@served_at("/jina/v1/rerank", summary="Jina")
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


@served_at("/v1/rerank", summary="Cohere v1, Jina")
class CohereOrJina(CohereV1):
    """``POST /v1/rerank``: Cohere's answer with what Jina's and vLLM's clients look for."""

    return_documents: bool = True

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        usage = {"prompt_tokens": done.tokens, "total_tokens": done.tokens}
        return {"model": self.model or done.model, "usage": usage, **super().answer(done)}
