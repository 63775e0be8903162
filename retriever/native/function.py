"""What Python calls: a compiled loop, loaded or compiled when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from ctypes import c_int64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.retriever.native import cache as files
from twopass.retriever.native.layout import Parameter, Words, pack

if TYPE_CHECKING:
    from twopass.retriever.native.linker import Code

__all__ = ["Function"]

_log = logging.getLogger(__name__)
_compiling = threading.Lock()


class Function:
    """A loop of ``twopass.retriever.native.loops``; it runs without the GIL and returns nothing.

    Args:
        home: its module and name, as ``twopass.retriever.native.loops.accumulators:sort``.
        parameters: what it takes; see ``twopass.retriever.native.layout``.

    """

    def __init__(self, home: str, *parameters: Parameter) -> None:
        self._home = home
        self._parameters = parameters
        self._code: Code | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run it on arguments that fit the parameters."""
        code = self._code or self.load()
        words = self.pack(arguments)
        code((c_int64 * len(words))(*words))

    def pack(self, arguments: Sequence[Any]) -> Words:
        """Turn arguments into what the machine code takes.

        Raises:
            TypeError: when an array has not the dtype or order that is expected.

        """
        return pack(self._parameters, arguments)

    def load(self) -> Code:
        """Load the machine code; where there is none yet, compile and keep it."""
        from twopass.retriever.native.linker import link

        with _compiling:
            if self._code is None:
                self._code = link(*self._object())
            return self._code

    def _object(self) -> tuple[bytes, str]:
        name = self._file_name()
        found = files.load(name)
        if found is None:
            found = self._compile()
            if not files.store(name, found):
                _log.info("the machine code cannot be kept: no folder of the cache is writable")
        symbol, _, objects = found.partition(b"\n")
        return objects, symbol.decode()

    def _compile(self) -> bytes:
        _announce()
        from twopass.retriever.native.compiler import compile_object

        objects, symbol = compile_object(self._home, self._parameters)
        return symbol.encode() + b"\n" + objects

    def _file_name(self) -> str:
        from twopass.retriever.native.linker import machine

        what = f"{self._home} {self._parameters} {machine()} {_sources()}"
        loop = self._home.partition(":")[2]
        return f"{loop}-{sha256(what.encode()).hexdigest()[:24]}.o"


@cache
def _announce() -> None:
    _log.info("compiling the loops of index and search, once for this machine ...")


@cache
def _sources() -> str:
    """Digest the sources of all loops, and what makes machine code of them."""
    here = Path(__file__).parent
    paths = [here / "compiler.py", *sorted((here / "loops").glob("*.py"))]
    return sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
