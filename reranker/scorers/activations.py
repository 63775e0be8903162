"""What turns logits into scores: functions of NumPy arrays, (n, labels) float32 both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.contract.errors import ModelError

__all__ = ["Activation", "by_path", "default", "identity", "of_torch", "sigmoid", "softmax"]

Activation = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def identity(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits themselves."""
    return logits


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-x)); small values keep their precision, nothing overflows."""
    small = np.exp(-np.abs(logits))
    scores: NDArray[np.float32] = np.where(logits >= 0, np.float32(1), small) / (1 + small)
    return scores


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row as shares that sum to one."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
    return result


def default(labels: int) -> Activation:
    """Return what sentence-transformers applies where a model names nothing."""
    return sigmoid if labels == 1 else identity


def of_torch(function: Callable[[Any], Any]) -> Activation:
    """Wrap a function of torch tensors, as sentence-transformers takes it."""

    def apply(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            scores: NDArray[np.float32] = function(torch.from_numpy(logits)).float().numpy()
        return scores

    return apply


def by_path(path: str) -> Activation:
    """Return the activation that a model's configuration names by its dotted path.

    Only torch's own modules are taken: a path elsewhere would be code that came with the model.

    Raises:
        ModelError: when the path is not of ``torch.nn`` or names no module.

    """
    name = path.rpartition(".")[2]
    if not path.startswith("torch.nn."):
        raise ModelError(
            f"expected an activation of torch.nn in the model's configuration, found {path!r}; "
            "pass activation_fn= to choose one yourself"
        )
    known: dict[str, Activation] = {"Sigmoid": sigmoid, "Identity": identity}
    if name in known:
        return known[name]
    import torch.nn

    kind = getattr(torch.nn, name, None)
    if not isinstance(kind, type) or not issubclass(kind, torch.nn.Module):
        raise ModelError(f"expected a module of torch.nn as activation, found {path!r}")
    return of_torch(kind())
