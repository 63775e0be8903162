"""How a model is trained: every number that decides the weights, beside the examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from twopass.reranker.contract.errors import RecipeError
from twopass.reranker.training.loss import Loss
from twopass.reranker.training.losses import make_loss

__all__ = ["RECIPES", "Recipe", "named_recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyperparameters of a training run.

    Attributes:
        loss: a name of ``LOSSES``, or of an entry point of the group ``twopass.losses``.
        loss_parameters: of the loss.
        epochs: passes over the examples.
        batch_size: pairs per step for losses over pairs, lists per step for losses over lists.
        learning_rate: AdamW's peak learning rate.
        head_rate: learning rate of the classifier and the pooler; by default the body's.
        layer_decay: each layer's rate is this factor of the one above it; the embeddings' is
            one step below the lowest layer's.
        freeze: what is not trained: "embeddings", and a number of lowest layers, as "2".
        weight_decay: AdamW's, for matrices only, not for biases and norms.
        warmup: share of the steps over which the rate rises from 0.
        decay: share of the remaining steps, at their end, over which it falls linearly to 0.
        clip: maximum norm of a step's gradient; None for no limit.
        dropout: of hidden states and attention; None uses the model's configuration.
        precision: "bf16" computes products in bf16 while weights stay in fp32.
        max_length: maximum tokens per pair; None uses the model's files.
        max_query_length: maximum tokens per query; longer ones are truncated.
        token_budget: maximum padded tokens on the device at once: a step's gradients are summed
            over parts, so that it changes memory use but not the result.
        checkpointing: recompute activations instead of keeping them, to save memory.
        eval_every: steps between evaluations, and at the end; None for the end only.
        log_every: steps between lines of the log.
        save_every: steps between checkpoints.
        output: what the saved model's score is: its logit, or the logit's sigmoid.
        seed: of the order, the dropout and new weights.

    Raises:
        RecipeError: when a value cannot be used.

    """

    loss: str = "bce"
    loss_parameters: Mapping[str, Any] = field(default_factory=dict)
    epochs: float = 1.0
    batch_size: int = 64
    learning_rate: float = 5e-5
    head_rate: float | None = None
    layer_decay: float = 1.0
    freeze: tuple[str, ...] = ()
    weight_decay: float = 0.0
    warmup: float = 0.1
    decay: float = 1.0
    clip: float | None = 1.0
    dropout: float | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    max_length: int | None = None
    max_query_length: int | None = 64
    token_budget: int = 16_384
    checkpointing: bool = False
    eval_every: int | None = None
    log_every: int = 10
    save_every: int = 100
    output: Literal["logit", "sigmoid"] = "logit"
    seed: int = 12

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "token_budget", "log_every"):
            _check(name, getattr(self, name), above=0)
        for name in ("head_rate", "clip", "max_length", "max_query_length", "eval_every"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), above=0)
        for name in ("warmup", "decay", "layer_decay"):
            _check(name, getattr(self, name), above=-1e-9 if name == "warmup" else 0, most=1)
        if self.precision not in ("fp32", "bf16") or self.output not in ("logit", "sigmoid"):
            raise RecipeError(
                "precision, output: expected fp32 or bf16 and logit or sigmoid, "
                f"found {self.precision!r}, {self.output!r}"
            )
        for part in self.freeze:
            if part != "embeddings" and not part.isdigit():
                raise RecipeError(
                    f"freeze: expected 'embeddings' or a number of layers, found {part!r}"
                )
        _ = self.make_loss()

    def make_loss(self) -> Loss:
        """Return the loss that the recipe names."""
        return make_loss(self.loss, **self.loss_parameters)

    def changed(self, **changes: Any) -> Self:
        """Return the recipe with other values; another loss begins with that loss's own defaults.

        Raises:
            RecipeError: when a name is none of the recipe's, or a value cannot be used.

        """
        unknown = sorted(set(changes) - set(self.__dataclass_fields__))
        if unknown:
            known = ", ".join(self.__dataclass_fields__)
            raise RecipeError(f"recipe: expected names of {known}, found {', '.join(unknown)}")
        if changes.get("loss", self.loss) != self.loss:
            changes = {"loss_parameters": {}} | changes
        return replace(self, **changes)

    def rate(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates in a step, counted from 0.

        With a decay of 1 this is transformers' ``get_linear_schedule_with_warmup``.
        """
        warm = int(self.warmup * steps)
        if step < warm:
            return step / warm
        return min(1.0, (steps - step) / max(1.0, self.decay * (steps - warm)))

    def to_dict(self) -> dict[str, Any]:
        """Return all values, fit for JSON."""
        values = asdict(self)
        return {**values, "freeze": list(self.freeze), "loss_parameters": {**self.loss_parameters}}


def _check(name: str, value: float, *, above: float, most: float = float("inf")) -> None:
    if isinstance(value, bool) or not above < value <= most:
        limit = "" if most == float("inf") else f" and at most {most:g}"
        least = f"above {above:g}" if above >= 0 else "of at least 0"
        raise RecipeError(f"{name}: expected a number {least}{limit}, found {value!r}")


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(eval_every=200),
    "gooaq-bce": Recipe(
        loss="bce",
        loss_parameters={"pos_weight": 5.0},
        epochs=1,
        batch_size=2048,
        learning_rate=5e-4,
        warmup=0.1,
        clip=1.0,
        precision="bf16",
        eval_every=20,
        output="sigmoid",
        seed=12,
    ),
    "listwise": Recipe(loss="softmax", batch_size=16, learning_rate=1e-4, eval_every=200),
    "distill": Recipe(
        loss="distill",
        loss_parameters={"sharpness": 1.5, "label_share": 0.3, "shape": 0.1},
        batch_size=16,
        learning_rate=1e-4,
        head_rate=5e-4,
        weight_decay=0.01,
        warmup=0.05,
        decay=0.4,
        dropout=0.0,
        eval_every=200,
    ),
}
"""Recipes by name.

``gooaq-bce`` is the one on the card of ``cross-encoder-testing/reranker-bert-tiny-gooaq-bce``;
``distill`` is the one that ``twopass/default`` began with; ``recipes/distill/train.toml`` has what
it changes.
"""


def named_recipe(name: str, **changes: Any) -> Recipe:
    """Return the recipe of that name, with changes.

    Raises:
        RecipeError: when there is none, or a change cannot be used.

    """
    if name not in RECIPES:
        raise RecipeError(f"recipe: expected one of {', '.join(RECIPES)}, found {name!r}")
    return RECIPES[name].changed(**changes)
