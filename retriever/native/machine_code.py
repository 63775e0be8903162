"""Machine code: object files on the disk, and their functions in this process.

A file is named after the loop and the digest of all that the code depends on; its content starts
with a digest of the rest, so that a damaged one is not run. It is written under another name and
then renamed: processes that start together may each compile and write it, and none reads half a
file. Files are kept beside this module where that folder can be written, otherwise in the user's
cache; ``NUMBA_CACHE_DIR`` names another folder. Where nothing can be written, each process
compiles.

llvmlite links an object file into the process; numba is not needed for it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from ctypes import CFUNCTYPE, byref, c_int, c_int64, c_void_p
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm

__all__ = ["Code", "machine", "read", "write"]

_DIGEST = 32


def read(name: str) -> bytes | None:
    """Return what was written under a name; ``None`` when it is missing or damaged."""
    for folder in _folders():
        with suppress(OSError):
            content = (folder / name).read_bytes()
            body = content[_DIGEST:]
            if sha256(body).digest() == content[:_DIGEST]:
                return body
    return None


def write(name: str, body: bytes) -> bool:
    """Keep machine code under a name; return whether that was possible."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / name, sha256(body).digest() + body)
            return True
    return False


def _replace(path: Path, content: bytes) -> None:
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).chmod(0o644)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _folders() -> Iterator[Path]:
    """Yield where files may be, the folder to write to first."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named)
        return
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        base = os.environ.get("XDG_CACHE_HOME")
        yield (Path(base) if base else Path.home() / ".cache") / "twopass" / "native"


class Code:
    """Machine code in this process; it stays as long as the object does.

    Args:
        objects: the content of an object file.
        symbol: its function of one pointer.

    """

    def __init__(self, objects: bytes, symbol: str) -> None:
        # An engine for each: two object files may hold a function of the same name.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(objects))
        self._engine.finalize_object()
        address = self._engine.get_function_address(symbol)
        if not address:
            raise RuntimeError(f"expected the function {symbol!r} in the object file, found none")
        self._call = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)(address)

    def __call__(self, words: list[int]) -> None:
        """Run it on a row of words, without the GIL, in numba's calling convention.

        It returns a status and takes two addresses, for a result and for an exception; a loop
        that has neither does not use them.
        """
        unused = c_void_p()
        if self._call(byref(unused), byref(unused), (c_int64 * len(words))(*words)):
            raise RuntimeError("expected a loop that raises nothing, it did")


def machine() -> str:
    """Describe what machine code must fit: the processor, and what generates the code.

    Each numba works with one llvmlite, whose version stands for both.
    """
    features = llvm.get_host_cpu_features().flatten()
    name = llvm.get_host_cpu_name()
    return f"{llvm.get_process_triple()} {name} {features} llvmlite {llvmlite.__version__}"


def _target_machine() -> Any:
    """Return a description for one engine, which takes it over."""
    _initialize()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(codemodel="jitdefault", jit=True)


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
