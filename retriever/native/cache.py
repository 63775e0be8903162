"""Machine code on the disk.

A file is named after the loop and the digest of all that the code depends on; its content begins
with a digest of its name and the rest, so that a damaged or renamed one is not run. It is written
under another name and then renamed: processes that start together may each compile and write it,
and none reads half a file.

What is loaded is run, so a file is read only if nobody could have written it who could not change
this package or this process anyway: its owner is this user, root, or the owner of this module, and
neither group nor others may write to it.

Files are kept beside this module where that folder can be written, otherwise in the user's cache;
``NUMBA_CACHE_DIR`` names another place. Where nothing can be written, each process compiles.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

__all__ = ["load", "store"]

_LOG = logging.getLogger(__name__)
_DIGEST = 32


def load(name: str) -> bytes | None:
    """Return what was stored under a name, or ``None`` where nothing whole and trusted is."""
    for folder in _folders():
        with suppress(OSError):
            content = _read(folder / name)
            body = content[_DIGEST:]
            if _digest(name, body) == content[:_DIGEST]:
                return body
    return None


def store(name: str, body: bytes) -> bool:
    """Keep machine code under a name, and say whether that was possible."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / name, _digest(name, body) + body)
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
    """Say it once a folder, not once a loop."""
    _LOG.warning(
        "machine code in %s is not used: expected files of this user or root that nobody else "
        "may write to",
        folder,
    )


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
