"""Dialects of rerank services: the path, the request and the answer of each.

Sources: the services' own documentation of ``POST /v1/rerank`` and ``/v2/rerank`` (Cohere),
``/v1/rerank`` (Jina AI), ``/rerank`` (Hugging Face text-embeddings-inference, vLLM).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError, OutputError

__all__ = ["DIALECTS", "Dialect", "dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one service is called and how it answers.

    Attributes:
        path: where requests go.
        request: query, texts and model (or None) -> the request's JSON.
        results: the answer's JSON -> its list of results.
        score: what a result calls its score.

    """

    path: str
    request: Callable[[str, Sequence[str], str | None], dict[str, Any]]
    results: Callable[[Any], Any]
    score: str

    def scores(self, answer: Any, n: int) -> NDArray[np.float32]:
        """Return (n,) float32: the scores of an answer, in the order of the texts.

        Raises:
            OutputError: when it is no answer of this dialect, or not one for each text.

        """
        scores = np.full(n, np.nan, dtype=np.float32)
        try:
            for result in self.results(answer):
                scores[_place(result["index"], n)] = float(result[self.score])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise OutputError(
                f"expected a list of index and {self.score} from {self.path}, "
                f"found {answer!r:.120}: another dialect?"
            ) from error
        if not np.isfinite(scores).all():
            raise OutputError(
                f"expected a finite score for each of {n} texts from {self.path}, "
                f"found {np.count_nonzero(np.isfinite(scores))}"
            )
        return scores


def _place(index: Any, n: int) -> int:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < n:
        raise IndexError(index)
    return index


def _documents(query: str, texts: Sequence[str], model: str | None) -> dict[str, Any]:
    named = {} if model is None else {"model": model}
    return {**named, "query": query, "documents": list(texts)}


def _without_documents(query: str, texts: Sequence[str], model: str | None) -> dict[str, Any]:
    return {**_documents(query, texts, model), "return_documents": False}


def _texts(query: str, texts: Sequence[str], model: str | None) -> dict[str, Any]:
    del model  # the service has one
    return {"query": query, "texts": list(texts), "truncate": True, "raw_scores": False}


def _results(answer: Any) -> Any:
    return answer["results"]


def _itself(answer: Any) -> Any:
    return answer


DIALECTS: dict[str, Dialect] = {
    "cohere-v1": Dialect("/v1/rerank", _without_documents, _results, "relevance_score"),
    "cohere-v2": Dialect("/v2/rerank", _documents, _results, "relevance_score"),
    "jina": Dialect("/v1/rerank", _without_documents, _results, "relevance_score"),
    "tei": Dialect("/rerank", _texts, _itself, "score"),
    "vllm": Dialect("/rerank", _documents, _results, "relevance_score"),
}
"""The dialects by name; a further one is a further entry."""


def dialect(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises:
        InputError: when it is unknown.

    """
    if name not in DIALECTS:
        raise InputError(f"expected a dialect of {', '.join(DIALECTS)}, found {name!r}")
    return DIALECTS[name]
