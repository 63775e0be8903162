"""How arguments reach machine code: as a row of 8-byte words.

A parameter is an array's dtype (``"float32[]"``, passed as its address and its length), a number
(``"int64"``), or a named tuple of such, which the loop reads by the names of its fields.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["Parameter", "pack"]

Parameter: TypeAlias = str | tuple[Any, ...]

_NUMBERS = ("uint8", "uint16", "uint32", "uint64", "int32", "int64", "float32", "float64")
_DTYPES = {f"{name}[]": np.dtype(name) for name in _NUMBERS}


def pack(parameter: Parameter, argument: Any) -> list[int]:
    """Turn an argument into words.

    Args:
        parameter: what is expected.
        argument: a number, a C-contiguous array of that dtype and any shape, or a tuple of such
            in the parameter's order.

    Raises:
        TypeError: when an array is not as expected.

    """
    words: list[int] = []
    _pack(parameter, argument, words)
    return words


def _pack(parameter: Parameter, argument: Any, words: list[int]) -> None:
    if isinstance(parameter, tuple):
        for part, value in zip(parameter, argument, strict=True):
            _pack(part, value, words)
    elif parameter == "int64":
        words.append(int(argument))
    else:
        if argument.dtype != _DTYPES[parameter] or not argument.flags.c_contiguous:
            raise TypeError(
                f"expected a contiguous array {parameter}, found {argument.dtype} "
                f"with strides {argument.strides}"
            )
        words.append(argument.__array_interface__["data"][0])
        words.append(argument.size)
