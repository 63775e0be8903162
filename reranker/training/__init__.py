"""Training cross-encoders: examples, losses, a trainer, and the model card.

Nothing here knows how candidates are retrieved: ``twopass.pipeline.training`` mines negatives
from a user's own index. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twopass.reranker.contract.errors import (
        DivergedError,
        ExamplesError,
        PublishError,
        RecipeError,
        ResumeError,
        TrainingError,
        TrainingMemoryError,
    )
    from twopass.reranker.training.card import Card, EvaluationTable
    from twopass.reranker.training.examples import Example, read_examples
    from twopass.reranker.training.hub import push
    from twopass.reranker.training.loss import LOSSES, Loss, loss_type
    from twopass.reranker.training.losses import (
        BinaryCrossEntropy,
        Distillation,
        LambdaLoss,
        ListSoftmax,
        MarginMSE,
        RankNet,
    )
    from twopass.reranker.training.recipe import RECIPES, Recipe
    from twopass.reranker.training.student import start_from, take_layers
    from twopass.reranker.training.trainer import Trainer, TrainingResult

_HOME = {
    "BinaryCrossEntropy": "twopass.reranker.training.losses",
    "Card": "twopass.reranker.training.card",
    "Distillation": "twopass.reranker.training.losses",
    "DivergedError": "twopass.reranker.contract.errors",
    "EvaluationTable": "twopass.reranker.training.card",
    "Example": "twopass.reranker.training.examples",
    "ExamplesError": "twopass.reranker.contract.errors",
    "LOSSES": "twopass.reranker.training.loss",
    "LambdaLoss": "twopass.reranker.training.losses",
    "ListSoftmax": "twopass.reranker.training.losses",
    "Loss": "twopass.reranker.training.loss",
    "MarginMSE": "twopass.reranker.training.losses",
    "PublishError": "twopass.reranker.contract.errors",
    "RECIPES": "twopass.reranker.training.recipe",
    "RankNet": "twopass.reranker.training.losses",
    "Recipe": "twopass.reranker.training.recipe",
    "RecipeError": "twopass.reranker.contract.errors",
    "ResumeError": "twopass.reranker.contract.errors",
    "Trainer": "twopass.reranker.training.trainer",
    "TrainingError": "twopass.reranker.contract.errors",
    "TrainingMemoryError": "twopass.reranker.contract.errors",
    "TrainingResult": "twopass.reranker.training.trainer",
    "loss_type": "twopass.reranker.training.loss",
    "new_student": "twopass.reranker.training.initial_weights",
    "push": "twopass.reranker.training.hub",
    "read_examples": "twopass.reranker.training.examples",
    "start_from": "twopass.reranker.training.student",
    "take_layers": "twopass.reranker.training.student",
}

__all__ = [
    "LOSSES",
    "RECIPES",
    "BinaryCrossEntropy",
    "Card",
    "Distillation",
    "DivergedError",
    "EvaluationTable",
    "Example",
    "ExamplesError",
    "LambdaLoss",
    "ListSoftmax",
    "Loss",
    "MarginMSE",
    "PublishError",
    "RankNet",
    "Recipe",
    "RecipeError",
    "ResumeError",
    "Trainer",
    "TrainingError",
    "TrainingMemoryError",
    "TrainingResult",
    "loss_type",
    "new_student",
    "push",
    "read_examples",
    "start_from",
    "take_layers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
