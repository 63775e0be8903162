"""The scorers that a caller may choose by name.

Their queues, and the scale of their scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.apps.sidecar.problems import invalid
from twopass.reranker.contract.scorer import PairScorer, Scorer
from twopass.reranker.scorers import activations
from twopass.reranker.scorers.batching import BatchingScorer
from twopass.reranker.scorers.cascade import Cascade

__all__ = [
    "NONE",
    "Model",
    "Models",
    "Scale",
    "scale_of",
]


_LEAST = 1e-7  # float32 has no logit of 0 or 1


@dataclass(frozen=True, slots=True)
class Scale:
    """What a scorer's numbers are.

    Attributes:
        probabilities: whether they are from 0 to 1 already; else they are logits.

    """

    probabilities: bool

    def relevance(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) float32 from 0 to 1."""
        return scores if self.probabilities else activations.sigmoid(scores)

    def raw(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) float32 logits."""
        if not self.probabilities:
            return scores
        inside = np.clip(scores, _LEAST, 1 - _LEAST)
        logits: NDArray[np.float32] = np.log(inside / (1 - inside)).astype(np.float32)
        return logits


def scale_of(scorer: Scorer, said: Literal["auto", "logits", "probabilities"]) -> Scale:
    """Return what the settings say of a scorer's numbers; by default what the scorer says."""
    return Scale(scorer.bounded if said == "auto" else said == "probabilities")


NONE = "none"  # the name that a search has for no second stage


class Model:
    """One scorer, and what its numbers mean.

    Who compares scores gets the scorer's own of all pairs; a search may have another scorer choose
    what this one reads. Each has a queue, in which the pairs of all callers wait.

    Args:
        name: what it is called in requests, answers and metrics.
        scorer: safe to use from several threads.
        scores: what its numbers are.
        waiting: pairs that wait for it at most.
        chooser: what chooses for it in searches, as safe; None for nothing.
        keep: how many of a query's candidates that leaves it.

    """

    def __init__(
        self,
        name: str,
        scorer: PairScorer,
        scores: Literal["auto", "logits", "probabilities"],
        waiting: int,
        chooser: PairScorer | None = None,
        keep: int = 1,
    ) -> None:
        self.name = name
        self.scorer = BatchingScorer(scorer, waiting=waiting)
        self.chooser = None if chooser is None else BatchingScorer(chooser, waiting=waiting)
        self._keep = keep
        self.scale = scale_of(self.scorer, scores)

    @property
    def queues(self) -> dict[str, BatchingScorer]:
        """The scorer, and what chooses for it, by the names that metrics have for them."""
        queues = {self.name: self.scorer, f"{self.name}, cascade": self.chooser}
        return {name: queue for name, queue in queues.items() if queue is not None}

    def searching(
        self, through: Callable[[BatchingScorer], Scorer] = lambda scorer: scorer
    ) -> Scorer:
        """Return the second stage of a search.

        Args:
            through: what stands between the search and each queue.

        """
        last = through(self.scorer)
        if self.chooser is None:
            return last
        return Cascade(through(self.chooser), last, keep=self._keep)


class Models:
    """All of them; the first is the one that is meant where none is named.

    Args:
        models: at least one.

    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.name: model for model in models}
        self.default = models[0]

    def __iter__(self) -> Iterator[Model]:
        """Give each, the default first."""
        return iter(self._models.values())

    @property
    def names(self) -> list[str]:
        """Their names, the default's first."""
        return list(self._models)

    def get(self, name: str | None) -> Model:
        """Return a model by its name; the default for a name that means nothing here.

        Clients of rerank services send the name that their service has for a model.
        """
        return self._models.get(name or "", self.default)

    def named(self, name: str | None) -> Model:
        """Return a model by its name, the default for none.

        Raises:
            ProblemError: when there is no such model.

        """
        if name is not None and name not in self._models:
            raise invalid(f"model: expected one of {', '.join(self._models)}, found {name!r}")
        return self.get(name)
