"""Which precision is fast on this machine, measured, and what a cheaper one costs in quality.

Cite: Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002;
gains are the judgements themselves, as in trec_eval's ``ndcg_cut``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import InputError
from twopass.reranker.contract.scorer import PairScorer
from twopass.reranker.engines.torch.engine import Precision, torch_dtype

if TYPE_CHECKING:
    import torch

__all__ = [
    "LOSS",
    "Judged",
    "Quality",
    "compare",
    "faster_precision",
    "ndcg",
]


_TOKENS, _TRIES = 256, 5
_GAIN = 1.5  # for less, scores are not to be rounded: products are most of the time, not all


def faster_precision(width: int, device: torch.device) -> Precision:
    """Return ``"bf16"`` where it computes a layer's largest product clearly faster, else fp32.

    It takes milliseconds, once a process for models of one width, device and number of threads.

    Args:
        width: of the model's activations.
        device: where it would run.

    """
    import torch

    return _measured(device, width, torch.get_num_threads())


@cache
def _measured(device: torch.device, width: int, threads: int) -> Precision:  # noqa: ARG001
    import torch

    with torch.inference_mode():
        full, half = (
            _seconds(
                torch.ones(_TOKENS, width, device=device, dtype=torch_dtype(precision)),
                torch.ones(4 * width, width, device=device, dtype=torch_dtype(precision)),
            )
            for precision in ("fp32", "bf16")
        )
    return "bf16" if half * _GAIN < full else "fp32"


def _seconds(tokens: Any, weight: Any) -> float:
    """Time the product of one layer; the best of several, after one that warms up."""
    import torch

    best = math.inf
    for attempt in range(_TRIES + 1):
        started = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        if tokens.is_cuda:
            torch.cuda.synchronize(tokens.device)
        if attempt:
            best = min(best, time.perf_counter() - started)
    return best


LOSS = 0.002  # of nDCG@10: more is not worth any speed
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A query with documents and what they are worth.

    Attributes:
        query: the query.
        documents: (n,) what is ranked.
        gains: (n,) how relevant each is, 0 for not at all.

    Raises:
        InputError: when the two are not of one length, or a gain is negative.

    """

    query: str
    documents: Sequence[str]
    gains: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.documents) != len(self.gains):
            raise InputError(
                f"expected one gain a document, found {len(self.gains)} for {len(self.documents)}"
            )
        if any(gain < 0 for gain in self.gains):
            raise InputError(f"expected gains of at least 0, found {min(self.gains)}")


@dataclass(frozen=True, slots=True)
class Quality:
    """Two scorers on the same queries.

    Attributes:
        reference: nDCG@10 of the scorer that is compared with, a mean over all queries.
        candidate: nDCG@10 of the other.
        agreement: share of the reference's ten best documents that are among the other's.
        queries: how many were judged.

    """

    reference: float
    candidate: float
    agreement: float
    queries: int

    @property
    def loss(self) -> float:
        """How much the candidate falls behind; negative where it is ahead."""
        return self.reference - self.candidate

    def passes(self, loss: float = LOSS) -> bool:
        """Say whether it falls no more behind than that."""
        return self.loss <= loss


def compare(reference: PairScorer, candidate: PairScorer, judged: Sequence[Judged]) -> Quality:
    """Rank the judged documents with two scorers of one score a pair.

    Raises:
        InputError: when there is no query.
        RerankerError: when a scorer fails.

    """
    if not judged:
        raise InputError("expected judged queries to compare two scorers on, found none")
    pairs = [(each.query, document) for each in judged for document in each.documents]
    borders = np.cumsum([len(each.documents) for each in judged])[:-1]
    scores = [np.split(scorer.predict(pairs), borders) for scorer in (reference, candidate)]
    values = [
        float(np.mean([ndcg(of, each.gains) for of, each in zip(found, judged, strict=True)]))
        for found in scores
    ]
    shared = [_shared(*both) for both in zip(*scores, strict=True)]
    return Quality(values[0], values[1], float(np.mean(shared)), len(judged))


def ndcg(scores: NDArray[np.float32], gains: Sequence[float], depth: int = _DEPTH) -> float:
    """Return the discounted gain of the best-scored documents over the best that there can be.

    Args:
        scores: (n,) of the documents; ties keep their order.
        gains: (n,) what they are worth.
        depth: how many count.

    Returns:
        0 to 1; 0 where nothing is relevant.

    """
    worth = np.asarray(gains, dtype=np.float64)
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    order = np.argsort(-scores, kind="stable")[:depth]
    best = np.sort(worth)[::-1][:depth]
    ideal = float(best @ discounts[: len(best)])
    return float(worth[order] @ discounts[: len(order)]) / ideal if ideal > 0 else 0.0


def _shared(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Share of the reference's best documents that are among the candidate's best."""
    best = [set(np.argsort(-s, kind="stable")[:_DEPTH].tolist()) for s in (reference, candidate)]
    return len(best[0] & best[1]) / max(1, len(best[0]))
