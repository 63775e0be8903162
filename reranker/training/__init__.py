"""Training cross-encoders: examples, losses, a trainer, and what is written about the result.

Nothing here knows how candidates are found: negatives from a user's own index are the pipeline's
(``pipeline.training``). Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reranker.training.card import Card, EvaluationTable
    from reranker.training.errors import (
        DivergedError,
        ExamplesError,
        PublishError,
        RecipeError,
        ResumeError,
        TrainingError,
        TrainingMemoryError,
    )
    from reranker.training.examples import Example, read_examples
    from reranker.training.losses import (
        LOSSES,
        BinaryCrossEntropy,
        Distillation,
        LambdaLoss,
        ListSoftmax,
        MarginMSE,
        RankNet,
    )
    from reranker.training.publishing import push
    from reranker.training.recipe import RECIPES, Recipe
    from reranker.training.student import start_from, take_layers
    from reranker.training.trainer import Trainer, TrainingResult

_HOME = {
    "BinaryCrossEntropy": "losses",
    "Card": "card",
    "Distillation": "losses",
    "DivergedError": "errors",
    "EvaluationTable": "card",
    "Example": "examples",
    "ExamplesError": "errors",
    "LOSSES": "losses",
    "LambdaLoss": "losses",
    "ListSoftmax": "losses",
    "MarginMSE": "losses",
    "PublishError": "errors",
    "RECIPES": "recipe",
    "RankNet": "losses",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "ResumeError": "errors",
    "Trainer": "trainer",
    "TrainingError": "errors",
    "TrainingMemoryError": "errors",
    "TrainingResult": "trainer",
    "new_student": "beginning",
    "push": "publishing",
    "read_examples": "examples",
    "start_from": "student",
    "take_layers": "student",
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
    "new_student",
    "push",
    "read_examples",
    "start_from",
    "take_layers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reranker.training.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
