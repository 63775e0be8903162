"""A folder's weights, as arrays or as a torch module: complete, of the right shapes and finite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twopass.reranker.console import quiet_transformers
from twopass.reranker.contract.errors import ModelError
from twopass.reranker.files.model_folder import ModelFolder

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Weights",
    "load_classifier",
    "max_positions",
    "misshapen_weights",
    "missing_weights",
    "nonfinite_weights",
    "unreadable_weights",
    "vocabulary_size",
]


def unreadable_weights(folder: ModelFolder, error: Exception) -> ModelError:
    """Say that the model could not be loaded, and why."""
    reason = str(error).strip() or "no reason given"
    return ModelError(
        f"expected a sequence-classification model in {str(folder.path)!r}, could not load it: "
        f"{type(error).__name__}: {reason.splitlines()[0]:.200}"
    )


def missing_weights(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are missing, as the head of a model that is no classifier."""
    kinds = ", ".join(folder.config.get("architectures") or ["unknown architecture"])
    return ModelError(
        f"expected a cross-encoder (a sequence-classification model) in {str(folder.path)!r}, "
        f"found {kinds} without the weights {_some(names)}"
    )


def misshapen_weights(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are not of the shape that the configuration asks for."""
    return ModelError(
        f"expected weights that fit config.json in {str(folder.path)!r}, found other shapes of "
        f"{_some(names)}"
    )


def nonfinite_weights(folder: ModelFolder, names: Sequence[str]) -> ModelError:
    """Say that weights are NaN or infinite."""
    return ModelError(
        f"expected finite weights in {str(folder.path)!r}, found NaN or infinity in "
        f"{_some(names)}; the file is damaged or its training diverged"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


_ONE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_KINDS = {"F16", "F32"}
_BITS: Mapping[str, tuple[type, type, int]] = {
    "float16": (np.int16, np.uint16, 0x7C00),
    "float32": (np.int32, np.uint32, 0x7F800000),
}


class Weights:
    """The arrays of a model's safetensors; a context, for the files stay open in it.

    Args:
        folder: the model's.

    Raises:
        ModelError: when a file cannot be read.

    """

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._stack = ExitStack()
        try:
            self._file_of = dict(self._open())
        except Exception as error:
            self._stack.close()
            raise unreadable_weights(folder, error) from error

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> Iterator[tuple[str, Any]]:
        from safetensors import safe_open

        for path in _files(self._folder.path):
            file = self._stack.enter_context(safe_open(path, framework="np"))
            yield from ((name, file) for name in file.keys())  # noqa: SIM118  (it is no mapping)

    def check(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Check that the arrays are there, with the shapes that the configuration asks for.

        Raises:
            ModelError: naming those that are not, or are in a format that NumPy does not know.

        """
        missing = sorted(shapes.keys() - self._file_of.keys())
        if missing:
            raise missing_weights(self._folder, missing)
        stored = {name: self._file_of[name].get_slice(name) for name in shapes}
        other = [name for name, part in stored.items() if tuple(part.get_shape()) != shapes[name]]
        if other:
            raise misshapen_weights(self._folder, other)
        kinds = {part.get_dtype() for part in stored.values()} - _KINDS
        if kinds:
            raise ModelError(
                f"expected weights of {', '.join(sorted(_KINDS))} for an engine without torch, "
                f"found {', '.join(sorted(kinds))}; engine='torch' takes them"
            )

    def take(self, name: str) -> NDArray[Any]:
        """Return an array as it is stored, float32 or float16.

        Raises:
            ModelError: when it has NaN or infinity, or cannot be read.

        """
        try:
            array: NDArray[Any] = self._file_of[name].get_tensor(name)
        except Exception as error:
            raise unreadable_weights(self._folder, error) from error
        if not _finite(array):
            raise nonfinite_weights(self._folder, [name])
        return array

    def full(self, name: str) -> NDArray[np.float32]:
        """Return an array as float32; raises as :meth:`take`."""
        return self.take(name).astype(np.float32, copy=False)


def _files(folder: Path) -> list[Path]:
    """List the files with the weights: one, or those that an index names."""
    if (folder / _ONE).is_file():
        return [folder / _ONE]
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    return [folder / name for name in sorted(set(index["weight_map"].values()))]


def _finite(array: NDArray[Any]) -> bool:
    """Say whether all are numbers.

    The exponent of what is none has all bits set: read as integers, with a sign or without, such
    are the largest of the positive and of the negative numbers. Two maxima need no copy.
    """
    signed, unsigned, least = _BITS[array.dtype.name]
    numbers = array.reshape(-1)
    sign = int(np.iinfo(unsigned).max) // 2 + 1
    return bool(numbers.view(signed).max(initial=0) < least) and bool(
        numbers.view(unsigned).max(initial=0) < least + sign
    )


def load_classifier(folder: ModelFolder, *, trust_remote_code: bool = False) -> nn.Module:
    """Load a sequence-classification model, in fp32, ready for inference, on the CPU.

    Raises:
        ModelError: when the weights cannot be read, some are missing (as the head of a model that
            is no classifier), have another shape than the configuration says, or are not finite.

    """
    from transformers import AutoModelForSequenceClassification

    try:
        with quiet_transformers():
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder.path),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise unreadable_weights(folder, error) from error
    _check_whole(folder, report)
    module: nn.Module = model.float().eval()
    _check_finite(folder, module)
    return module


def vocabulary_size(model: nn.Module) -> int:
    """Return how many tokens the model knows."""
    classifier: Any = model
    return int(classifier.get_input_embeddings().num_embeddings)


def max_positions(model: nn.Module) -> int | None:
    """Return how many tokens a row may have, or None where that is not limited.

    A table of positions with a padding index is counted from behind it, so that a row has fewer
    tokens than ``max_position_embeddings`` says.
    """
    from torch import nn

    config: Any = model.config
    total = getattr(config, "max_position_embeddings", -1)
    if total is None or total < 0:
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(total) - skipped
    return int(total)


def _check_whole(folder: ModelFolder, report: Any) -> None:
    """Refuse what transformers would fill with random numbers."""
    missing = sorted(report["missing_keys"])
    mismatched = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if missing:
        raise missing_weights(folder, missing)
    if mismatched:
        raise misshapen_weights(folder, mismatched)


def _check_finite(folder: ModelFolder, model: nn.Module) -> None:
    broken = [
        name for name, values in model.named_parameters() if not bool(values.isfinite().all())
    ]
    if broken:
        raise nonfinite_weights(folder, broken)
