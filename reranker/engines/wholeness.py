"""What is said of weights that are not whole, whichever engine has found it."""

from __future__ import annotations

from collections.abc import Sequence

from reranker.base import ModelError
from reranker.folder import ModelFolder

__all__ = ["not_finite", "not_there", "of_other_shape", "unreadable"]


def unreadable(folder: ModelFolder, error: Exception) -> ModelError:
    """Say that the model could not be loaded, and why."""
    reason = str(error).strip() or "no reason given"
    return ModelError(
        f"expected a sequence-classification model in {str(folder.path)!r}, could not load it: "
        f"{type(error).__name__}: {reason.splitlines()[0]:.200}"
    )


def not_there(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are missing, as the head of a model that is no classifier."""
    kinds = ", ".join(folder.config.get("architectures") or ["unknown architecture"])
    return ModelError(
        f"expected a cross-encoder (a sequence-classification model) in {str(folder.path)!r}, "
        f"found {kinds} without the weights {_some(names)}"
    )


def of_other_shape(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are not of the shape that the configuration asks for."""
    return ModelError(
        f"expected weights that fit config.json in {str(folder.path)!r}, found other shapes of "
        f"{_some(names)}"
    )


def not_finite(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are NaN or infinite."""
    return ModelError(
        f"expected finite weights in {str(folder.path)!r}, found NaN or infinity in "
        f"{_some(names)}; the file is damaged or its training diverged"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
