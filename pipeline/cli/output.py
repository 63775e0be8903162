"""What commands say: results on standard output, all else on standard error."""

from __future__ import annotations

import io
import sys
from typing import TextIO

__all__ = ["echo", "note", "prepare_output"]


def echo(line: str, file: TextIO | None = None) -> None:
    """Write a line of a result, on standard output unless told otherwise."""
    print(line, file=file)


def note(line: str) -> None:
    """Write a line about what was done, on standard error."""
    print(line, file=sys.stderr)  # noqa: T201


def prepare_output() -> None:
    """Make every character printable: a pipe gets UTF-8, a terminal escapes what it lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
