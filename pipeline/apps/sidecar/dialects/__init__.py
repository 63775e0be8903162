"""The paths that are several services' at once, told apart by the fields of a request.

=============  ==================================  ==========================================
path           a request with                      is answered as by
=============  ==================================  ==========================================
``/rerank``    ``texts``                           TEI
``/rerank``    a field that only vLLM has          vLLM
``/rerank``    ``documents``                       Infinity, with documents unless not wanted
``/v1/rerank`` a field that only vLLM has          vLLM
``/v1/rerank`` ``return_documents``, ``rank_...``  Cohere v1 and Jina in one
``/v2/rerank`` a field that only vLLM has          vLLM
``/v2/rerank`` all others                          Cohere v2
=============  ==================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from twopass.pipeline.apps.sidecar.dialects import cohere, elasticsearch, infinity, jina, tei, vllm
from twopass.pipeline.apps.sidecar.dialects.body import Body, add_route
from twopass.pipeline.apps.sidecar.dialects.cohere import CohereV1, CohereV2
from twopass.pipeline.apps.sidecar.dialects.infinity import Infinity
from twopass.pipeline.apps.sidecar.dialects.tei import Tei
from twopass.pipeline.apps.sidecar.dialects.vllm import FIELDS, Vllm
from twopass.pipeline.apps.sidecar.problems import Problem
from twopass.pipeline.apps.sidecar.rerank import Reranked
from twopass.pipeline.apps.sidecar.routes import route_class

__all__ = [
    "router",
    "routers",
    "words",
]


def words(problem: Problem) -> tuple[int, Any]:
    """Word a problem of a request whose dialect is not known, so that most clients find it."""
    about = {"error": problem.message, "error_type": problem.kind}
    return problem.status, {**about, "message": problem.message, "detail": problem.message}


class _V1(CohereV1):
    """Cohere's answer with what Jina's and vLLM's clients look for."""

    return_documents: bool = True

    def answer(self, done: Reranked) -> dict[str, Any]:
        usage = {"prompt_tokens": done.tokens, "total_tokens": done.tokens}
        return {"model": self.model or done.model, "usage": usage, **super().answer(done)}


class _Plain(Infinity):
    """Infinity's answer with the documents, as vLLM gives them."""

    def answer(self, done: Reranked) -> dict[str, Any]:
        answer = super().answer(done)
        if "return_documents" not in self.model_fields_set:
            for result in answer["results"]:
                document = self.documents[result["index"]]
                result["document"] = {"text": document} if isinstance(document, str) else document
        return answer


def _fields(given: Any) -> frozenset[str]:
    return frozenset(given) if isinstance(given, Mapping) else frozenset()


def _pick_plain(given: Any) -> type[Body]:
    fields = _fields(given)
    if "texts" in fields:
        return Tei
    return Vllm if fields & FIELDS else _Plain


def _pick_v1(given: Any) -> type[Body]:
    return Vllm if _fields(given) & FIELDS else _V1


def _pick_v2(given: Any) -> type[Body]:
    return Vllm if _fields(given) & FIELDS else CohereV2


router = APIRouter(tags=["rerank"], route_class=route_class(words))
add_route(router, "/rerank", Tei, Vllm, _Plain, pick=_pick_plain, summary="TEI, vLLM, Infinity")
add_route(router, "/v1/rerank", _V1, Vllm, pick=_pick_v1, summary="Cohere v1, Jina, vLLM")
add_route(router, "/v2/rerank", CohereV2, Vllm, pick=_pick_v2, summary="Cohere v2, vLLM")


def routers() -> list[APIRouter]:
    """Return the routers of all dialects."""
    return [
        router,
        cohere.router,
        jina.router,
        tei.router,
        tei.info_router,
        tei.health_router,
        vllm.router,
        vllm.score_router,
        infinity.router,
        elasticsearch.router,
    ]
