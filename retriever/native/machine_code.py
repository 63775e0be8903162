"""Machine code: object files on the disk, and their functions in this process.

A file is named after the loop and the digest of all that the code depends on; its content starts
with a digest of its name and the rest, so that a damaged or renamed one is not run. It is written
under another name and then renamed: processes that start together may each compile and write it,
and none reads half a file.

What is loaded is run, so a file is read only if nobody could have written it who could not change
this package or this process anyway: its owner is this user, root, or the owner of this module, and
neither group nor others may write to it.

Files are kept beside this module where that folder can be written, otherwise in the user's
cache; ``NUMBA_CACHE_DIR`` names another folder. Where nothing can be written, each process
compiles.

llvmlite links an object file into the process; numba is not needed for it.
"""

from __future__ import annotations

import logging
import os
import stat
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

_log = logging.getLogger(__name__)
_DIGEST = 32


def read(name: str) -> bytes | None:
    """Return what was written under a name; ``None`` when it is missing, damaged or not trusted."""
    for folder in _folders():
        with suppress(OSError):
            content = _read(folder / name)
            body = content[_DIGEST:]
            if _digest(name, body) == content[:_DIGEST]:
                return body
    return None


def write(name: str, body: bytes) -> bool:
    """Keep machine code under a name, and say whether that was possible."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / name, _digest(name, body) + body)
            return True
    return False


def _digest(name: str, body: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + body).digest()


def _read(path: Path) -> bytes:
    """Return a file's content; nothing of one that somebody else could have written."""
    # Checked by its descriptor, so that it is not another file by the time it is read; without
    # waiting, as a named pipe would make it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if _is_ours(os.fstat(descriptor)):
            return file.read()
    _warn(path.parent)
    return b""


def _is_ours(found: os.stat_result) -> bool:
    if not stat.S_ISREG(found.st_mode):
        return False
    if os.name != "posix":  # owners and modes mean nothing there
        return True
    return found.st_uid in _owners() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _owners() -> Iterator[int]:
    yield from (0, os.geteuid())
    with suppress(OSError):  # a package that is no file
        yield Path(__file__).stat().st_uid


@cache
def _warn(folder: Path) -> None:
    """Log it once a folder, not once a loop."""
    _log.warning(
        "machine code in %s is not used: expected files of this user or root that nobody else "
        "may write to",
        folder,
    )


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
