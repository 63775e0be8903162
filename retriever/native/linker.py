"""Object files -> functions, by llvmlite alone."""

from __future__ import annotations

from ctypes import CFUNCTYPE, byref, c_int, c_void_p
from functools import cache
from typing import Any

import llvmlite
from llvmlite import binding as llvm

__all__ = ["Code", "link", "machine"]


class Code:
    """Machine code in this process; it stays as long as the object does.

    Args:
        objects: the content of an object file.
        symbol: its function of one pointer.

    """

    def __init__(self, objects: bytes, symbol: str) -> None:
        # An engine for each: two object files may hold a function of the same name.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(objects))
        self._engine.finalize_object()
        address = self._engine.get_function_address(symbol)
        if not address:
            raise RuntimeError(f"expected the function {symbol!r} in the object file, found none")
        self._call = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)(address)

    def __call__(self, words: Any) -> None:
        """Run it on a row of words, without the GIL, in numba's calling convention.

        It returns a status and takes two places, for a result and for an exception, that a loop
        without either leaves alone.
        """
        unused = c_void_p()
        if self._call(byref(unused), byref(unused), words):
            raise RuntimeError("expected a loop that raises nothing, it did")


def machine() -> str:
    """Describe what machine code must fit: the processor, and what generates the code.

    Each numba works with one llvmlite, whose version stands for both.
    """
    features = llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return f"{llvm.get_process_triple()} {name} {features} llvmlite {llvmlite.__version__}"


def link(objects: bytes, symbol: str) -> Code:
    """Load machine code."""
    return Code(objects, symbol)


def _machine() -> Any:
    """Return a description for one engine, which takes it over."""
    _initialize()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(codemodel="jitdefault", jit=True)


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
