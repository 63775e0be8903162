"""Machine code on the disk.

A file is named after the loop and the digest of all that the code depends on; its content begins
with its own digest, so that a damaged one is not run. It is written under another name and then
renamed: processes that start together may each compile and write it, and none reads half a file.

Files are kept beside this module where that folder can be written, otherwise in the user's cache;
``NUMBA_CACHE_DIR`` names another place. Where nothing can be written, each process compiles.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

__all__ = ["load", "store"]

_DIGEST = 32


def load(name: str) -> bytes | None:
    """Return what was stored under a name, or ``None`` where nothing whole is."""
    for folder in _folders():
        with suppress(OSError):
            content = (folder / name).read_bytes()
            body = content[_DIGEST:]
            if sha256(body).digest() == content[:_DIGEST]:
                return body
    return None


def store(name: str, body: bytes) -> bool:
    """Keep machine code under a name, and say whether that was possible."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / name, sha256(body).digest() + body)
            return True
    return False


def _write(path: Path, content: bytes) -> None:
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
    """Yield where files may be, the place to write to first."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named)
        return
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        base = os.environ.get("XDG_CACHE_HOME")
        yield (Path(base) if base else Path.home() / ".cache") / "twopass" / "native"
