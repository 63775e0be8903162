"""A progress bar, where one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(work: Sized | None) -> Iterator[Callable[[int], None]]:
    """Draw a bar on standard error over so much work, or nothing for None.

    Gives a function to be told how much has been done since it was last told.
    """
    if work is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring pairs", total=len(work))
        yield lambda pairs: progress.advance(task, pairs)
