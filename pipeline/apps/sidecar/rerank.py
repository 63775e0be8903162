"""What all rerank APIs have in common: a task, and its scores.

A dialect turns its request into a :class:`Task` and a :class:`Reranked` into its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.apps.settings import ServeSettings
from twopass.pipeline.apps.sidecar.models import Model
from twopass.pipeline.apps.sidecar.problems import Problem, ProblemError, invalid
from twopass.pipeline.apps.sidecar.service import Sidecar
from twopass.reranker.contract.scorer import Encoder
from twopass.reranker.contract.scores import Scores

__all__ = ["Reranked", "Task", "rerank"]

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Task:
    """Pairs to score.

    Attributes:
        pairs: (n,) of a query and a document each.
        top_n: how many of the best to return; all by default.
        raw: whether to return logits rather than relevance from 0 to 1.
        document_tokens: the most tokens of a document that are read.
        query_tokens: the most tokens of a query that are read.
        whole: whether a text that does not fit is an error instead of being cut.
        deadline: seconds from now; by default ``serve.deadline``.

    """

    pairs: Pairs
    top_n: int | None = None
    raw: bool = False
    document_tokens: int | None = None
    query_tokens: int | None = None
    whole: bool = False
    deadline: float | None = None

    @classmethod
    def of(cls, query: str, documents: Sequence[str], **options: object) -> Task:
        """Pair a query with each document."""
        return cls([(query, document) for document in documents], **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """The scores of n pairs.

    Attributes:
        relevance: (n,) float32, finite, in the pairs' order: from 0 to 1, or raw.
        order: (m,) int64: the best pairs first, ties in the pairs' order; ``top_n`` at most.
        tokens: how many tokens the model read; 0 where that is not known.
        cut: the positions of pairs with a text that was cut.
        model: the model's name.
        note: why another scorer of the chain than the first answered; empty if the first did.

    """

    relevance: NDArray[np.float32]
    order: NDArray[np.int64]
    tokens: int
    cut: list[int]
    model: str
    note: str = ""

    @property
    def ranked(self) -> list[tuple[int, float]]:
        """The position and relevance of each returned pair, best first."""
        return [(int(place), float(self.relevance[place])) for place in self.order]

    @property
    def warnings(self) -> list[str]:
        """Messages for the caller."""
        found = [self.note] if self.note else []
        if self.cut:
            shown = ", ".join(map(str, self.cut[:20])) + (", ..." if len(self.cut) > 20 else "")
            found.append(
                f"{len(self.cut)} of {len(self.relevance)} documents were cut to fit the model: "
                f"{shown}"
            )
        return found


async def rerank(sidecar: Sidecar, task: Task, model: Model) -> Reranked:
    """Score the pairs of a task with a model.

    Raises:
        ProblemError: when it is more than ``serve`` allows, or not every pair could be scored:
            a caller that compares scores is better served by an error than by a made-up number.
        RerankerError: when the scorer fails.

    """
    _check(task, sidecar.settings.serve)
    if not task.pairs:
        raise invalid("expected at least one document, found none")
    pairs, cut = task.pairs, np.zeros(len(task.pairs), dtype=np.bool_)
    encoder = model.scorer.encoder
    if encoder is not None and _may_cut(task, encoder.max_length):
        pairs, cut = await sidecar.in_thread(_clipped, encoder, task)
    scores = await sidecar.score(pairs, model, deadline=task.deadline)
    if not scores.complete:
        raise ProblemError(Problem("timeout", scores.reason, 1))
    if scores.truncated is not None:
        cut |= scores.truncated
    if task.whole and cut.any():
        raise ProblemError(
            Problem(
                "too_large",
                f"expected texts that fit the model, found {cut.sum()} too long, the first at "
                f"{int(np.argmax(cut))}; let them be cut (truncate=true) or shorten them",
            )
        )
    relevance = _relevance(model, task, scores)
    tokens = 0 if encoder is None else await sidecar.in_thread(encoder.count, pairs)
    return Reranked(
        relevance=relevance,
        order=np.argsort(-relevance, kind="stable")[: task.top_n],
        tokens=tokens,
        cut=np.flatnonzero(cut).tolist(),
        model=model.name,
        note=_note(scores),
    )


def _relevance(model: Model, task: Task, scores: Scores) -> NDArray[np.float32]:
    """Return (n,) float32: raw, or calibrated where there is a calibration, or by the sigmoid."""
    if task.raw:
        return model.scale.raw(scores.values)
    if scores.probabilities is not None:
        return scores.probabilities
    return model.scale.relevance(scores.values)


def _check(task: Task, serve: ServeSettings) -> None:
    if len(task.pairs) > serve.max_documents:
        raise ProblemError(
            Problem(
                "too_large",
                f"expected at most {serve.max_documents} documents, found {len(task.pairs)}; "
                "send them in several requests",
            )
        )
    for place, texts in enumerate(task.pairs):
        longest = max(map(len, texts))
        if longest > serve.max_characters:
            raise ProblemError(
                Problem(
                    "too_large",
                    f"document {place}: expected texts of at most {serve.max_characters} "
                    f"characters, found {longest}",
                )
            )


def _may_cut(task: Task, longest: int) -> bool:
    """Say whether the request has a bound that is lower than the model's own."""
    bounds = (task.query_tokens, task.document_tokens)
    return any(bound is not None and bound < longest for bound in bounds)


def _clipped(encoder: Encoder, task: Task) -> tuple[Pairs, NDArray[np.bool_]]:
    """Cut the texts to the request's bounds; (n,) bool says which were cut."""
    queries: Sequence[str]
    documents: Sequence[str]
    queries, documents = zip(*task.pairs, strict=True)
    if task.query_tokens is not None:
        queries = encoder.clipped(queries, task.query_tokens)
    if task.document_tokens is not None:
        documents = encoder.clipped(documents, task.document_tokens)
    pairs = list(zip(queries, documents, strict=True))
    cut = [found != given for found, given in zip(pairs, task.pairs, strict=True)]
    return pairs, np.array(cut, dtype=np.bool_)


def _note(scores: Scores) -> str:
    return f"{scores.by} answered: {scores.reason}" if scores.reason else ""
