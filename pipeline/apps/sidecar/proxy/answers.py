"""Answers of the proxy: the page cut from the reranked window, its timings, and what is counted.

``_score`` of a reranked answer does not rise from hit to hit, nor from page to page, and is
finite and at least 0, as clients expect. With f the fused score and b Elasticsearch's own::

    reranked, f >= 0                      1 + f
    reranked, f < 0                       0.5 + 0.5 exp(f)     in (0.5, 1)
    without a score of the second stage   0.5 b / (1 + b)      in [0, 0.5)

Both are the same on every page of a search, since they need nothing but the hit itself. (A hit
below another may then be a tie, never above it.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from twopass.pipeline.apps.sidecar.metrics import Metrics
from twopass.pipeline.apps.sidecar.proxy.obstacles import PassedOn
from twopass.pipeline.apps.sidecar.proxy.rescorer import Rescored
from twopass.pipeline.apps.sidecar.proxy.window import Window
from twopass.pipeline.ranking import Ranking

__all__ = [
    "Outcomes",
    "final_answer",
    "fused_score",
    "has_hits",
    "page_of",
    "shards_failed",
    "unscored_score",
]


Hit = Mapping[str, Any]


def page_of(answer: Mapping[str, Any], window: Window, rescored: Rescored) -> dict[str, Any]:
    """Return the answer to the caller's search: the page that it wanted.

    Totals, aggregations, suggestions and whatever else Elasticsearch says stay as they are.

    Args:
        answer: Elasticsearch's, with the window's hits.
        window: the search for candidates.
        rescored: how reranking went; without a ranking, order and scores stay Elasticsearch's.

    """
    found = answer["hits"]
    hits: Sequence[Hit] = found["hits"]
    best = found.get("max_score")
    if rescored.ranking is not None:
        hits = _in_order(hits, window, rescored.ranking)
        if best is not None:
            best = hits[0]["_score"] if hits else None
    page = [_without_extras(hit, window) for hit in hits[window.start :][: window.size]]
    inner = {**found, "hits": page}
    if "max_score" in found:
        inner["max_score"] = best
    return {**answer, "hits": inner}


def fused_score(fused: float) -> float:
    """Map a fused score to ``_score``."""
    return _float32(1 + fused if fused >= 0 else 0.5 + 0.5 * math.exp(fused))


def unscored_score(score: float) -> float:
    """Map a score of Elasticsearch's, of a hit that was not reranked, to ``_score``."""
    return _float32(0.5 * score / (1 + score))


def _in_order(hits: Sequence[Hit], window: Window, ranking: Ranking) -> list[Hit]:
    """Return all hits, reranked ones first, then those without a text, then those behind."""
    positions = [int(position) for position in ranking.ids]
    least = window.rescore.min_score
    kept = range(len(positions))
    if least is not None:  # what was not read, nobody can say that of
        return [
            _scored(hits[positions[i]], ranking, i, window)
            for i in kept
            if ranking.rerank[i] >= least
        ]
    head = [_scored(hits[positions[i]], ranking, i, window) for i in kept]
    others = sorted(set(range(len(hits))) - set(positions))
    return _falling([*head, *({**hits[i], "_score": _rest(hits[i])} for i in others)])


def _scored(hit: Hit, ranking: Ranking, i: int, window: Window) -> dict[str, Any]:
    """Return the ranking's i-th hit with its new score and, if wanted, its details."""
    placed = not np.isnan(ranking.fused[i])
    new = {**hit, "_score": fused_score(float(ranking.fused[i])) if placed else _rest(hit)}
    if window.rescore.details:
        new["fields"] = {**hit.get("fields", {}), "_twopass": [_details(ranking, i)]}
    return new


def _details(ranking: Ranking, i: int) -> dict[str, Any]:
    span = None if ranking.evidence is None else ranking.evidence[i]
    return {
        "retrieval": float(str(ranking.retrieval[i])),
        "retrieval_rank": int(ranking.ids[i]) + 1,
        "rerank": None if np.isnan(ranking.rerank[i]) else float(str(ranking.rerank[i])),
        "rerank_rank": int(ranking.rerank_ranks[i]) or None,
        "fused": None if np.isnan(ranking.fused[i]) else float(str(ranking.fused[i])),
        **({} if span is None else {"evidence": asdict(span)}),
    }


def _rest(hit: Hit) -> float:
    return unscored_score(float(hit["_score"]))


def _falling(hits: list[dict[str, Any]]) -> list[Hit]:
    """Lower each score to the one before, where several scorers' opinions crossed."""
    least = math.inf
    for hit in hits:
        least = hit["_score"] = min(least, hit["_score"])
    return list(hits)


def _without_extras(hit: Hit, window: Window) -> Hit:
    """Take away the fields that were fetched only for reranking."""
    if not window.added:
        return hit
    kept = {
        name: value
        for name, value in hit.get("fields", {}).items()
        if name == "_twopass" or not window.is_extra(name, value)
    }
    left_out = {"fields"} if window.kept else {"fields", "ignored_field_values"}
    rest = {name: value for name, value in hit.items() if name not in left_out}
    return {**rest, "fields": kept} if kept else rest


def _float32(value: float) -> float:
    """Round to what a client that reads float32 sees, and write it no longer than that."""
    return float(str(np.float32(value)))


class Outcomes:
    """Counts what became of searches."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def passed(self, why: PassedOn) -> None:
        """Count a search that went on as it came."""
        self._metrics.proxied.labels("passed", why.code).inc()

    def reranked(self, rescored: Rescored, retrieval: float) -> None:
        """Count a search that was to be reranked; ``retrieval`` in seconds."""
        self._metrics.proxied.labels(rescored.status, rescored.code).inc()
        self._metrics.stages.labels("retrieval").observe(retrieval)
        self._metrics.stages.labels("rerank").observe(rescored.seconds)
        if rescored.status in ("partial", "failed"):
            self._metrics.degradations.labels("proxy", rescored.status).inc()


def has_hits(answer: Any) -> bool:
    """Return whether an answer is a search's, in the form in which it can be reranked.

    What is no such answer goes to the caller as the server sends it.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("hits"), Mapping):
        return False
    hits = answer["hits"].get("hits")
    return isinstance(hits, list) and all(map(_is_hit, hits)) and _is_number(answer.get("took", 0))


def _is_hit(hit: Any) -> bool:
    return (
        isinstance(hit, Mapping)
        and _is_number(hit.get("_score"))
        and isinstance(hit.get("fields", {}), Mapping)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < math.inf and value == value


def shards_failed(answer: Mapping[str, Any]) -> bool:
    """Return whether shards refused the search: a window may be too large for one index of many.

    Shards that are away, or too busy, would be so for the caller's own search, too.
    """
    shards = answer.get("_shards")
    failures = _objects(shards.get("failures") if isinstance(shards, Mapping) else None)
    reasons = _objects([failure.get("reason") for failure in failures])
    causes = _objects([each.get("caused_by") for each in reasons])
    kinds = {str(each.get("type")) for each in (*reasons, *causes)}
    return bool(kinds & {"illegal_argument_exception", "search_exception"})


def _objects(values: Any) -> list[Mapping[str, Any]]:
    """Return those of a list that are objects."""
    listed = values if isinstance(values, list) else []
    return [each for each in listed if isinstance(each, Mapping)]


def final_answer(
    answer: Mapping[str, Any],
    window: Window,
    rescored: Rescored,
    retrieval: float,
    annotate: bool,
) -> dict[str, Any]:
    """Return the answer to a caller's search, with what reranking took.

    ``took`` is Elasticsearch's and that of reranking, in milliseconds.

    Args:
        answer: Elasticsearch's, with the window's hits.
        window: the search for candidates.
        rescored: how reranking went.
        retrieval: seconds until Elasticsearch's answer was there.
        annotate: whether to add ``_twopass``.

    """
    started = perf_counter()
    page = page_of(answer, window, rescored)
    paging = perf_counter() - started
    took = round((rescored.seconds + paging) * 1000)
    if "took" in page:
        page["took"] += took
    if annotate:
        page["_twopass"] = {
            "status": rescored.status,
            "code": rescored.code,
            "reason": rescored.reason,
            "candidates": rescored.candidates,
            "scored": rescored.scored,
            "by": rescored.by,
            "timings_ms": {
                "elasticsearch": round(retrieval * 1000, 3),
                "rerank": round(rescored.seconds * 1000, 3),
                "page": round(paging * 1000, 3),
            },
        }
    return page
