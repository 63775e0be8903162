"""vLLM's APIs of cross-encoders: rerank and score."""

from __future__ import annotations

import time
from typing import Any, ClassVar
from uuid import uuid4

from pydantic import AliasChoices, Field

from twopass.pipeline.apps.sidecar.dialects.body import Body, Document, Most, text_of
from twopass.pipeline.apps.sidecar.dialects.infinity import Infinity
from twopass.pipeline.apps.sidecar.dialects.register import served_at
from twopass.pipeline.apps.sidecar.problems import Problem, invalid
from twopass.pipeline.apps.sidecar.rerank import Pairs, Reranked, Task

__all__ = ["PlainVllm", "Vllm", "VllmScore"]

# Fields that no other dialect of these paths has.
_FIELDS = frozenset(
    {
        *("max_tokens_per_query", "truncate_prompt_tokens", "use_activation", "instruction"),
        *("softmax", "activation", "mm_processor_kwargs", "chat_template"),
    }
)
_TYPES = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError"}


class _VllmBody(Body):
    max_tokens_per_doc: Most = 0
    max_tokens_per_query: Most = 0
    use_activation: bool | None = None
    truncate_prompt_tokens: int | None = None

    @staticmethod
    def words(problem: Problem) -> tuple[int, Any]:
        """Word a problem as vLLM does."""
        status = 400 if problem.kind in ("invalid", "too_large") else problem.status
        kind = _TYPES.get(status, "InternalServerError" if status >= 500 else "RateLimitError")
        about = {"message": problem.message, "type": kind, "param": None, "code": status}
        return status, {"error": about}

    def _options(self) -> dict[str, Any]:
        return {
            "raw": self.use_activation is False,
            "document_tokens": self.max_tokens_per_doc or None,
            "query_tokens": self.max_tokens_per_query or None,
        }

    def _about(self, done: Reranked) -> dict[str, Any]:
        usage = {"prompt_tokens": done.tokens, "total_tokens": done.tokens}
        return {"model": self.model or done.model, "usage": usage}


_PATHS = ("/rerank", "/v1/rerank", "/v2/rerank")


@served_at(*(f"/vllm{path}" for path in _PATHS), summary="vLLM rerank")
@served_at(*_PATHS, summary="vLLM", marks=_FIELDS)
class Vllm(_VllmBody):
    """``POST /rerank``, ``/v1/rerank`` and ``/v2/rerank``; documents always come back."""

    query: str
    documents: list[Document]
    top_n: Most = 0

    def task(self) -> Task:
        """Return what is to be done."""
        texts = [text_of(each) for each in self.documents]
        return Task.of(self.query, texts, top_n=self.top_n or None, **self._options())

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        return {
            "id": f"rerank-{uuid4().hex}",
            **self._about(done),
            "results": [
                {
                    "index": place,
                    "document": {"text": text_of(self.documents[place])},
                    "relevance_score": score,
                }
                for place, score in done.ranked
            ],
        }


@served_at("/rerank", summary="Infinity")
class PlainVllm(Infinity):
    """``POST /rerank`` without a mark: Infinity's answer with documents, as vLLM gives them."""

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer."""
        answer = super().answer(done)
        if "return_documents" not in self.model_fields_set:
            for result in answer["results"]:
                document = self.documents[result["index"]]
                result["document"] = {"text": document} if isinstance(document, str) else document
        return answer


@served_at("/score", "/v1/score", "/vllm/score", "/vllm/v1/score", summary="vLLM score")
class VllmScore(_VllmBody):
    """``POST /score``: one query with each document, or as many of both, pair by pair."""

    lists: ClassVar[tuple[str, ...]] = (
        *("queries", "documents", "items"),
        *("text_1", "text_2", "data_1", "data_2"),
    )

    queries: str | list[str] = Field(validation_alias=AliasChoices("queries", "text_1", "data_1"))
    documents: Document | list[Document] = Field(
        validation_alias=AliasChoices("documents", "items", "text_2", "data_2")
    )

    def task(self) -> Task:
        """Return what is to be done."""
        return Task(self._pairs(), **self._options())

    def _pairs(self) -> Pairs:
        queries = [self.queries] if isinstance(self.queries, str) else self.queries
        listed = self.documents if isinstance(self.documents, list) else [self.documents]
        texts = [text_of(each) for each in listed]
        if len(queries) == 1:
            queries = queries * len(texts)
        if len(queries) != len(texts):
            raise invalid(
                f"expected one query, or as many as documents, found {len(queries)} and "
                f"{len(texts)}"
            )
        return list(zip(queries, texts, strict=True))

    def answer(self, done: Reranked) -> dict[str, Any]:
        """Return the answer, in the order of the pairs."""
        return {
            "id": f"score-{uuid4().hex}",
            "object": "list",
            "created": int(time.time()),
            **self._about(done),
            "data": [
                {"index": place, "object": "score", "score": float(score)}
                for place, score in enumerate(done.relevance)
            ],
        }
