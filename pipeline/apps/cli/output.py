"""Output of commands: results on standard output, messages and progress on standard error."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TextIO

__all__ = [
    "coloured",
    "columns",
    "configure_logging",
    "echo",
    "note",
    "output",
    "prepare_output",
    "progress",
    "wrapped",
]


_OURS = ("twopass",)
_COLOURS = {"green": 32, "red": 31}


def echo(line: str, file: TextIO | None = None) -> None:
    """Write a line of a result, by default on standard output."""
    print(line, file=file)


def note(line: str) -> None:
    """Write a message on standard error."""
    print(line, file=sys.stderr)  # noqa: T201


def columns() -> int:
    """Return the width of standard output in characters; in a pipe it is unlimited."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def wrapped(text: str) -> str:
    """Wrap lines to the width of standard output; indented lines stay indented."""
    return "\n".join(
        fill(line, columns(), subsequent_indent=" " * (len(line) - len(line.lstrip())))
        for line in text.split("\n")
    )


def coloured(text: str, colour: str) -> str:
    """Colour a text if standard output is a terminal and ``NO_COLOR`` is not set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Open the file for a result; None is standard output."""
    if path is None:
        yield sys.stdout
        return
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        yield file


def prepare_output() -> None:
    """Make every character printable: UTF-8 in a pipe, escapes where a terminal has no glyph."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def configure_logging(debug: bool) -> None:
    """Show the warnings of our own packages, one line each; for debugging, all messages.

    The message that loops are being compiled is shown too: it takes some seconds, once. Other
    libraries are silenced because they log errors that they also raise.
    """
    import logging

    handler = logging.StreamHandler()
    if not debug:
        handler.addFilter(lambda record: record.name.split(".")[0] in _OURS)
    level = logging.INFO if debug else logging.WARNING
    logging.basicConfig(format="twopass: %(message)s", level=level, handlers=[handler])
    logging.getLogger("twopass.retriever.native").setLevel(logging.INFO)


@contextmanager
def progress(what: str, unit: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on a terminal; gives a function that takes the number done.

    The function also takes the total as a second argument, if it was not known before.

    Args:
        what: a title.
        unit: what is counted.
        total: the number of units, if it is known.

    """
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} {unit}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
