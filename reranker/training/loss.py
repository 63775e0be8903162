"""What all losses share: the contract, their names, and sums over padded lists.

A loss is a frozen value that is called with padded lists and returns one number a list::

    loss(logits, labels, scores, mask) -> (g,)

    logits   (g, s) float32: the student's raw outputs
    labels   (g, s) float32: relevance, above 0 for relevant; 0 where nobody judged
    scores   (g, s) float32: the teacher's scores; NaN where there is none
    mask     (g, s) bool: which entries hold a passage; the others never count
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from twopass.reranker.training.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "LOSSES",
    "Loss",
    "Needs",
    "centred",
    "differences",
    "log_softmax",
    "loss_type",
    "mean",
    "ordered",
    "ranks",
]

Needs = Literal["pairs", "lists", "teacher"]


class Loss(ABC):
    """One loss: see the module.

    Attributes:
        needs: what it learns from: single pairs, so that a batch is counted in pairs; lists; or
            lists that a teacher has scored.
        citation: its source, for the model's card; empty for none.

    """

    __slots__ = ()

    needs: ClassVar[Needs] = "lists"
    citation: ClassVar[str] = ""

    @abstractmethod
    def usable(self, example: Example) -> bool:
        """Say whether there is anything to learn from this example."""

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of each list, (g,)."""


L = TypeVar("L", bound=type[Loss])

LOSSES: dict[str, type[Loss]] = {}
"""The losses by name."""


def loss_type(name: str, *, needs: Needs, citation: str = "") -> Callable[[L], L]:
    """Register a class of losses, a frozen dataclass, under its name in a recipe; a decorator."""

    def register(kind: L) -> L:
        kind.needs, kind.citation = needs, citation
        LOSSES[name] = kind
        return kind

    return register


def differences(values: Tensor) -> Tensor:
    """Return v_i - v_j, (g, s, s)."""
    return values.unsqueeze(2) - values.unsqueeze(1)


def ordered(labels: Tensor, mask: Tensor) -> Tensor:
    """Return which pairs i, j are there and have y_i > y_j, (g, s, s)."""
    there = mask.unsqueeze(2) & mask.unsqueeze(1)
    return (labels.unsqueeze(2) > labels.unsqueeze(1)) & there


def ranks(values: Tensor) -> Tensor:
    """Return each value's rank in its row, from 1, the highest first; ties by position."""
    order = values.argsort(dim=1, descending=True, stable=True)
    return (order.argsort(dim=1, stable=True) + 1).to(values.dtype)


def mean(values: Tensor, kept: Tensor) -> Tensor:
    """Return each row's mean over what is kept, 0 where that is nothing, (g,)."""
    return (values * kept).sum(1) / kept.sum(1).clamp(min=1)


def centred(values: Tensor, mask: Tensor) -> Tensor:
    """Return the distances to each row's mean, (g, s)."""
    return values - mean(values, mask).unsqueeze(1)


def log_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Return the logarithms over the passages that are there, and 0 elsewhere."""
    return values.masked_fill(~mask, float("-inf")).log_softmax(1).masked_fill(~mask, 0.0)
