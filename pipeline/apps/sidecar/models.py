"""The models that a request may name: their queues, and the scale of their scores."""

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
    """The scale of a scorer's scores.

    Attributes:
        probabilities: whether they are from 0 to 1; otherwise they are logits.

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


def scale_of(scorer: Scorer, setting: Literal["auto", "logits", "probabilities"]) -> Scale:
    """Return the scale that the setting names; for ``auto``, the one that the scorer says."""
    return Scale(scorer.bounded if setting == "auto" else setting == "probabilities")


NONE = "none"  # the name that a search has for no second stage


class Model:
    """One scorer, and what its numbers mean.

    Rerank requests get this scorer's scores of all pairs; in a search, a cheap scorer may select
    the candidates that this one reads. Each has a queue, in which the pairs of all callers wait.

    Args:
        name: its name in requests, answers and metrics.
        scorer: safe to use from several threads.
        scores: the kind of its scores.
        waiting: the most pairs that may wait for it.
        cheap: the cheap scorer of a cascade in searches, equally safe; None for no cascade.
        keep: how many candidates of a query the scorer reads in a cascade.

    """

    def __init__(
        self,
        name: str,
        scorer: PairScorer,
        scores: Literal["auto", "logits", "probabilities"],
        waiting: int,
        cheap: PairScorer | None = None,
        keep: int = 1,
    ) -> None:
        self.name = name
        self.scorer = BatchingScorer(scorer, waiting=waiting)
        self.cheap = None if cheap is None else BatchingScorer(cheap, waiting=waiting)
        self._keep = keep
        self.scale = scale_of(self.scorer, scores)

    @property
    def queues(self) -> dict[str, BatchingScorer]:
        """The queues of the scorer and of the cheap one, by their names in metrics."""
        queues = {self.name: self.scorer, f"{self.name}, cascade": self.cheap}
        return {name: queue for name, queue in queues.items() if queue is not None}

    def search_scorer(
        self, wrap: Callable[[BatchingScorer], Scorer] = lambda scorer: scorer
    ) -> Scorer:
        """Return the second stage of a search.

        Args:
            wrap: makes of each queue what the search calls.

        """
        final = wrap(self.scorer)
        if self.cheap is None:
            return final
        return Cascade(wrap(self.cheap), final, keep=self._keep)


class Models:
    """All models; the first is the default.

    Args:
        models: at least one.

    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.name: model for model in models}
        self.default = models[0]

    def __iter__(self) -> Iterator[Model]:
        """Yield each, the default first."""
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
