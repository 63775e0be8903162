"""What Python calls: a compiled loop, loaded or compiled when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from twopass.retriever.native.layout import Parameter, pack

__all__ = ["Function"]

_log = logging.getLogger(__name__)
_compiling = threading.Lock()


class Function:
    """A loop of ``twopass.retriever.native.loops``; it returns nothing.

    It runs without the GIL. Where the installed numba or llvmlite is none that this package can
    compile ahead of time with, numba compiles and keeps it by its own means: the same results,
    after a slower start.

    Args:
        home: its module and name, as ``twopass.retriever.native.loops.accumulators:sort``.
        parameters: what it takes; see ``twopass.retriever.native.layout``.

    """

    def __init__(self, home: str, *parameters: Parameter) -> None:
        self._home = home
        self._parameters = parameters
        self._run: Callable[[tuple[Any, ...]], None] | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run it on arguments that fit the parameters.

        Raises:
            TypeError: when an array has not the dtype or order that is expected.

        """
        (self._run or self.load())(arguments)

    def load(self) -> Callable[[tuple[Any, ...]], None]:
        """Load the machine code; where there is none yet, compile and keep it."""
        with _compiling:
            if self._run is None:
                try:
                    self._run = self._ahead_of_time()
                except (ImportError, AttributeError, TypeError) as error:  # as a changed API raises
                    self._run = self._just_in_time()
                    _explain(str(error))
            return self._run

    def _ahead_of_time(self) -> Callable[[tuple[Any, ...]], None]:
        from twopass.retriever.native.machine_code import Code

        objects, symbol = self._object()
        code, parameters = Code(objects, symbol), self._parameters
        return lambda arguments: code(pack(parameters, arguments))

    def _just_in_time(self) -> Callable[[tuple[Any, ...]], None]:
        from numba import njit

        module, name = self._home.split(":")
        loop = getattr(import_module(module), name).py_func
        compiled, parameters = njit(cache=True, nogil=True)(loop), self._parameters

        def run(arguments: tuple[Any, ...]) -> None:
            pack(parameters, arguments)  # checks them
            compiled(*_flat(arguments))

        return run

    def _object(self) -> tuple[bytes, str]:
        from twopass.retriever.native import machine_code

        name = self._file_name(machine_code.machine())
        found = machine_code.read(name)
        if found is None:
            found = self._compile()
            if not machine_code.write(name, found):
                _log.info("the machine code cannot be kept: no folder of the cache is writable")
        symbol, _, objects = found.partition(b"\n")
        return objects, symbol.decode()

    def _compile(self) -> bytes:
        _announce()
        from twopass.retriever.native.compiler import compile_object

        objects, symbol = compile_object(self._home, self._parameters)
        return symbol.encode() + b"\n" + objects

    def _file_name(self, machine: str) -> str:
        what = f"{self._home} {self._parameters} {machine} {_sources()}"
        loop = self._home.partition(":")[2]
        return f"{loop}-{sha256(what.encode()).hexdigest()[:24]}.o"


def _flat(arguments: tuple[Any, ...]) -> Any:
    """Give arrays the one dimension that loops expect, in named tuples too."""
    flat = [
        _flat(each)
        if isinstance(each, tuple)
        else each.reshape(-1)
        if hasattr(each, "dtype")
        else each
        for each in arguments
    ]
    make = getattr(arguments, "_make", tuple)
    return make(flat)


@cache
def _announce() -> None:
    _log.info("compiling the loops of index and search, once for this machine ...")


@cache
def _explain(reason: str) -> None:
    _log.warning(
        "the loops are compiled by numba's own cache, which starts more slowly: %s", reason
    )


@cache
def _sources() -> str:
    """Digest the sources of all loops, and what makes machine code of them."""
    here = Path(__file__).parent
    paths = [here / "compiler.py", *sorted((here / "loops").glob("*.py"))]
    return sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
