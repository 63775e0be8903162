"""A folder's weights as arrays, taken by name, known to be whole before they are used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.base import ModelError
from reranker.engines.wholeness import not_finite, not_there, of_other_shape, unreadable
from reranker.folder import ModelFolder

__all__ = ["Weights"]

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
            raise unreadable(folder, error) from error

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
        """Look that the arrays are there, with the shapes that the configuration asks for.

        Raises:
            ModelError: naming those that are not, or are in a format that NumPy does not know.

        """
        missing = sorted(shapes.keys() - self._file_of.keys())
        if missing:
            raise not_there(self._folder, missing)
        stored = {name: self._file_of[name].get_slice(name) for name in shapes}
        other = [name for name, part in stored.items() if tuple(part.get_shape()) != shapes[name]]
        if other:
            raise of_other_shape(self._folder, other)
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
            raise unreadable(self._folder, error) from error
        if not _finite(array):
            raise not_finite(self._folder, [name])
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
