"""The second stage over hits of Elasticsearch's; it never fails, it says how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.models import Models
from twopass.pipeline.apps.sidecar.problems import ProblemError
from twopass.pipeline.apps.sidecar.proxy.texts import text_of
from twopass.pipeline.apps.sidecar.proxy.window import Window
from twopass.pipeline.candidates import Candidates, fuse, score_groups, status_of
from twopass.pipeline.errors import FusionError
from twopass.pipeline.fusion import Fusion, fusion
from twopass.pipeline.ranking import Ranking
from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import OverloadedError
from twopass.retriever.hits import Hits

__all__ = ["Rescored", "Rescorer"]

_LOG = logging.getLogger(__name__)

_TOO_MUCH = "the reranker has too much to do"
_GRACE = 0.5  # of the deadline: what a scorer may need to notice that time is up

InThread = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in a thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Rescored:
    """How reranking went for one search.

    Attributes:
        status: ``complete``, ``partial``, ``skipped`` or ``failed``.
        code: why it is not complete, for programs: ``deadline``, ``overloaded``, ``error``,
            ``fusion``, ``model``, ``text``, ``hits``; or ``fallback`` where it is, but another
            scorer than the first answered.
        reason: the same for people. It says nothing about other searches that were scored in the
            same batch, as a scorer's own message might.
        candidates: how many hits were to be scored.
        ranking: the order of the hits that have a text, ids being their positions in the window;
            ``None`` where Elasticsearch's order stands.
        seconds: what it took.

    """

    status: str
    code: str
    reason: str
    candidates: int
    ranking: Ranking | None
    seconds: float

    @property
    def by(self) -> str:
        """Which scorer answered; empty where none did."""
        return self.ranking.status.by if self.ranking is not None else ""

    @property
    def scored(self) -> int:
        """How many hits have a score of the second stage."""
        return self.ranking.status.scored if self.ranking is not None else 0


class Rescorer:
    """Reranks the hits of many searches at once.

    Args:
        models: the second stages that a search may name.
        fusion: how both stages' scores become one, unless a search says otherwise.
        in_thread: where scoring, which blocks, is run.

    """

    def __init__(self, models: Models, fusion: Fusion, in_thread: InThread) -> None:
        self._models = models
        self._fusion = fusion
        self._in_thread = in_thread

    async def rescore(self, hits: Sequence[Mapping[str, Any]], window: Window) -> Rescored:
        """Rerank the first hits of a search, as many as its window says."""
        with tracing.stage("rerank", candidates=len(hits[: window.depth])) as tell:
            rescored = await self._rescored(hits, window)
            tell({"scored": rescored.scored, "status": rescored.status})
        return rescored

    async def _rescored(self, hits: Sequence[Mapping[str, Any]], window: Window) -> Rescored:
        started = perf_counter()
        head = hits[: window.depth]
        status, code, reason, ranking = await self._outcome(head, window)
        seconds = perf_counter() - started
        if code == "none":  # a deadline that leaves no time for a first score is no error
            late = seconds >= (window.rescore.deadline or np.inf)
            code, reason = ("deadline", "no scores in time") if late else ("error", reason)
            if not late and ranking is not None and not ranking.status.by:  # none has begun
                code, reason = "overloaded", _TOO_MUCH
        return Rescored(status, code, reason, len(head), ranking, seconds)

    async def _outcome(
        self, head: Sequence[Mapping[str, Any]], window: Window
    ) -> tuple[str, str, str, Ranking | None]:
        deadline = window.rescore.deadline
        try:
            async with asyncio.timeout(None if deadline is None else deadline * (1 + _GRACE)):
                ranking = await self._in_thread(self._rank, head, window)
        except TimeoutError:
            return "failed", "deadline", f"no scores within {deadline:g} s", None
        except ProblemError as error:
            return "failed", "model", str(error), None
        except OverloadedError:
            return "failed", "overloaded", _TOO_MUCH, None
        except FusionError as error:
            return "failed", "fusion", str(error), None
        except Exception as error:  # whatever it is, Elasticsearch has answered
            _LOG.warning("reranking failed", exc_info=error)
            return "failed", "error", f"the reranker failed: {type(error).__name__}", None
        return _described(ranking, len(head), window)

    def _rank(self, head: Sequence[Mapping[str, Any]], window: Window) -> Ranking | None:
        """Rank the hits that have a text; None where no hit has."""
        texts = [text_of(hit, window.fields, strict=window.strict) for hit in head]
        readable = [position for position, text in enumerate(texts) if text]
        if not readable:
            return None
        # Rescorers of Elasticsearch's own may leave a lower score above a higher one.
        scores = np.minimum.accumulate(np.array([hit["_score"] for hit in head], np.float32))
        found = Hits.of(
            [str(position) for position in readable],
            scores[readable],
            [texts[position] for position in readable],
        )
        chosen = window.rescore.fusion
        method = self._fusion if chosen is None else fusion(chosen.method, **chosen.parameters)
        scorer = self._models.named(window.rescore.model).search_scorer()
        pairs = [(window.query, text) for text in found.texts]
        started = perf_counter()
        [rerank] = score_groups(scorer, [pairs], Deadline.after(window.rescore.deadline))
        seconds = perf_counter() - started
        candidates = Candidates(found, rerank, status_of(rerank), retrieval=0.0, rerank=seconds)
        return fuse(candidates, method, len(found))


def _described(
    ranking: Ranking | None, candidates: int, window: Window
) -> tuple[str, str, str, Ranking | None]:
    """Say how it went: status, code, reason, and the ranking if it is to be used."""
    if not candidates:
        return "skipped", "hits", "no hits to rerank", None
    if ranking is None:
        where = ", ".join(window.fields) or "any field"
        return "skipped", "text", f"no hit has a text in {where}; name 'fields' that do", None
    scored, readable = ranking.status.scored, len(ranking)
    read = scored + readable - ranking.status.candidates  # what a cascade passed over is done too
    if not scored:
        return "failed", "none", "the reranker gave no scores", None
    if read == candidates and ranking.status.reason:
        return (
            "complete",
            "fallback",
            f"not the first scorer answered, but {ranking.status.by}",
            ranking,
        )
    if read == candidates:
        return "complete", "", "", ranking
    if read == readable:
        reason = f"{candidates - readable} of {candidates} hits have no text to read"
        return "partial", "text", reason, ranking
    reason = f"{read} of {candidates} hits scored within {window.rescore.deadline} s"
    return "partial", "deadline", reason, ranking
