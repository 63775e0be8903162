"""numba's part: a loop -> an object file that needs nothing of numba.

This reads what numba does not promise to keep: hence the range of versions, beyond which loops
are compiled by numba's own means.

The loop is compiled for C-contiguous arrays and numbers of exactly the declared types. Its entry
takes the address of a row of words, as :mod:`twopass.retriever.native.layout` describes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import count
from typing import Any

import numba
import numpy as np
from numba import from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from twopass.retriever.native.layout import Parameter

__all__ = ["compile_object"]

_FIRST, _LAST = (0, 61), (0, 68)  # the versions of numba whose inner parts are known
_WORDS = types.CPointer(types.int64)
_PLAIN_C = {"memcpy", "memmove", "memset"}  # what compilers call on their own


def compile_object(home: str, parameters: Sequence[Parameter]) -> tuple[bytes, str]:
    """Compile a loop.

    Args:
        home: its module and name, as ``package.module:function``.
        parameters: what it takes.

    Returns:
        the object file's content, and the entry's name in it.

    Raises:
        ImportError: when this version of numba is none whose inner parts are known.
        RuntimeError: when the machine code would need more than plain C's memory functions.

    """
    _check_version()
    module, name = home.split(":")
    compiled = _compile(getattr(import_module(module), name), [_type(each) for each in parameters])
    llvm_module = compiled.library._final_module
    needed = _needed(llvm_module) - _PLAIN_C
    if needed:
        raise RuntimeError(f"{home}: expected a loop that stands alone, it needs {sorted(needed)}")
    target = compiled.library.codegen._tm
    return target.emit_object(llvm_module), compiled.fndesc.llvm_func_name


def _check_version() -> None:
    if not _FIRST <= numba.version_info.short <= _LAST:
        first, last = (".".join(map(str, each)) for each in (_FIRST, _LAST))
        raise ImportError(f"expected numba {first} to {last}, found {numba.__version__}")


def _type(parameter: Parameter) -> Any:
    if isinstance(parameter, tuple):
        return types.NamedTuple([_type(each) for each in parameter], type(parameter))
    if parameter == "int64":
        return types.int64
    return types.Array(from_dtype(np.dtype(parameter.removesuffix("[]"))), 1, "C")


def _compile(loop: Callable[..., None], kinds: Sequence[Any]) -> Any:
    arguments = types.Tuple(kinds)

    def generate(context: Any, builder: Any, _: Any, given: Any) -> Any:
        positions = count()
        values = [_load(context, builder, given[0], positions, kind) for kind in kinds]
        return context.make_tuple(builder, arguments, values)

    def unpacking(_: Any, words: Any) -> Any:
        return arguments(words), generate

    unpack: Any = intrinsic(unpacking)

    def run(words: Any) -> None:
        loop(*unpack(words))

    # Without numba's runtime a loop that allocates is refused; numpy's model of errors has a
    # division by zero give a value.
    options: dict[str, Any] = {"_nrt": False, "error_model": "numpy"}
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    entry: Any = njit(types.void(_WORDS), **options)(run)
    return entry.overloads[(_WORDS,)]


def _load(context: Any, builder: Any, words: Any, positions: Iterator[int], kind: Any) -> Any:
    """Generate the reading of one argument from the words at the next positions."""
    if isinstance(kind, types.NamedTuple):
        fields = [_load(context, builder, words, positions, field) for field in kind]
        return context.make_tuple(builder, kind, fields)
    word = builder.load(cgutils.gep_inbounds(builder, words, next(positions)))
    if kind == types.int64:
        return word
    array = make_array(kind)(context, builder)
    length = builder.load(cgutils.gep_inbounds(builder, words, next(positions)))
    size = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    data = builder.inttoptr(word, array.data.type)
    populate_array(array, data=data, shape=[length], strides=[size], itemsize=size, meminfo=None)
    return array._getvalue()


def _needed(module: Any) -> set[str]:
    """Return the names that a module uses and does not define."""
    declared = [*module.functions, *module.global_variables]
    return {
        each.name for each in declared if each.is_declaration and not each.name.startswith("llvm.")
    }
