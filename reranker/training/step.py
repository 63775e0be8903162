"""A training step: its padded batches of lists, and the learning rate of each weight."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.engines.engine import plan_batches
from twopass.reranker.text.encoding import PairEncoder
from twopass.reranker.text.tokens import TokenRows
from twopass.reranker.training.examples import Example
from twopass.reranker.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Part",
    "depth_of",
    "epoch_order",
    "freeze",
    "make_optimizer",
    "set_rates",
    "step_count",
    "step_rows",
    "token_parts",
]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Lists of a step that fit the token budget together.

    Attributes:
        rows: p token rows, the lists' pairs one list after the other.
        mask: (g, s) bool, p of them true: where in the lists the pairs stand.
        labels: (g, s) float32, 0 where nobody judged.
        scores: (g, s) float32, NaN where there is no teacher.

    """

    rows: TokenRows
    mask: NDArray[np.bool_]
    labels: NDArray[np.float32]
    scores: NDArray[np.float32]


def step_count(examples: int, batch_size: int, epochs: float) -> int:
    """Return the number of steps, at least one; a smaller last batch counts as a step."""
    return max(1, round(epochs * -(-examples // batch_size)))


def epoch_order(examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order of the examples in an epoch; it depends on the seed and the epoch."""
    return np.random.default_rng([seed, epoch]).permutation(examples)


def step_rows(step: int, examples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the examples of a step, computed without state, so that a training can resume."""
    epoch, place = divmod(step, -(-examples // batch_size))
    order = epoch_order(examples, seed, epoch)
    return order[place * batch_size : (place + 1) * batch_size]


def token_parts(
    examples: Sequence[Example], encoder: PairEncoder, token_budget: int
) -> Iterator[Part]:
    """Split a step's examples into parts within the token budget, longest lists first.

    A list is never torn; one that is longer than the budget is a part of its own.
    """
    sizes = np.array([len(e.passages) for e in examples])
    first = np.concatenate(([0], np.cumsum(sizes)))
    encoded = encoder.encode([(e.query, p) for e in examples for p in e.passages])
    lengths = encoded.rows.lengths[encoded.row_of]
    longest = np.maximum.reduceat(lengths, first[:-1])
    for chosen in plan_batches(longest * sizes, token_budget):
        mask = np.arange(sizes[chosen].max()) < sizes[chosen][:, None]
        pairs = np.concatenate([np.arange(first[row], first[row + 1]) for row in chosen])
        yield Part(
            encoded.rows.take(encoded.row_of[pairs]),
            mask,
            _column([examples[row].labels for row in chosen], mask, 0.0),
            _column([examples[row].scores for row in chosen], mask, np.nan),
        )


def _column(
    values: Sequence[Sequence[float]], mask: NDArray[np.bool_], missing: float
) -> NDArray[np.float32]:
    column = np.full(mask.shape, missing, np.float32)
    for row, given in enumerate(values):
        column[row, : len(given)] = given
    return column


_LAYER = re.compile(r"\.(?:layer|layers|block|h)\.(\d++)\.")


def depth_of(name: str, layers: int) -> int:
    """Return a parameter's depth: 0 embeddings, 1 the lowest layer, layers + 1 the head."""
    if found := _LAYER.search(f".{name}"):
        return int(found.group(1)) + 1
    return 0 if "embed" in name else layers + 1


def freeze(model: nn.Module, parts: tuple[str, ...]) -> None:
    """Exclude the embeddings and the lowest layers from training."""
    layers = _layers(model)
    lowest = max((int(part) for part in parts if part.isdigit()), default=0)
    for name, weight in model.named_parameters():
        depth = depth_of(name, layers)
        held = (depth == 0 and "embeddings" in parts) or 1 <= depth <= lowest
        weight.requires_grad_(not held)


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW for the trained weights; each group keeps its peak rate as ``full_rate``.

    Loshchilov & Hutter 2019, arXiv:1711.05101; rates that fall from layer to layer: Howard & Ruder
    2018, arXiv:1801.06146.
    """
    import torch

    layers = _layers(model)
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            depth = depth_of(name, layers)
            base = recipe.learning_rate
            if depth > layers and recipe.head_rate is not None:
                base = recipe.head_rate
            rate = base * recipe.layer_decay ** (layers + 1 - depth)
            decay = recipe.weight_decay if weight.dim() > 1 else 0.0
            groups.setdefault((rate, decay), []).append(weight)
    return torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": decay, "lr": rate, "full_rate": rate}
            for (rate, decay), weights in groups.items()
        ]
    )


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to ``factor`` times its peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["full_rate"]


def _layers(model: nn.Module) -> int:
    found = (_LAYER.search(f".{name}") for name, _ in model.named_parameters())
    return max((int(match.group(1)) + 1 for match in found if match), default=0)
