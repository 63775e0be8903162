"""Which weights learn, and how fast: rates by layer, frozen parts, decay of matrices alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reranker.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["depth_of", "freeze", "make_optimizer", "set_rates"]

_LAYER = re.compile(r"\.(?:layer|layers|block|h)\.(\d+)\.")


def depth_of(name: str, layers: int) -> int:
    """Return how far up a parameter is: 0 embeddings, 1 the lowest layer, layers + 1 the head."""
    if found := _LAYER.search(f".{name}"):
        return int(found.group(1)) + 1
    return 0 if "embed" in name else layers + 1


def freeze(model: nn.Module, parts: tuple[str, ...]) -> None:
    """Keep the weights of the embeddings and of the lowest layers as they are."""
    layers = _layers(model)
    lowest = max((int(part) for part in parts if part.isdigit()), default=0)
    for name, weight in model.named_parameters():
        depth = depth_of(name, layers)
        held = (depth == 0 and "embeddings" in parts) or 1 <= depth <= lowest
        weight.requires_grad_(not held)


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over what learns; each group holds its full rate as ``full_rate``.

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
    """Set each group's rate to ``factor`` of its full one."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["full_rate"]


def _layers(model: nn.Module) -> int:
    found = (_LAYER.search(f".{name}") for name, _ in model.named_parameters())
    return max((int(match.group(1)) + 1 for match in found if match), default=0)
