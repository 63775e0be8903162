"""What the terminal shows: a library's messages silenced, a progress bar on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = [
    "progress_bar",
    "quiet_transformers",
]


_LOCK = Lock()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from logging and drawing progress bars, and set it back afterwards.

    What it would say of missing or mismatched weights is checked and raised as an error instead.
    Its switches are global, so one thread at a time is inside.
    """
    from transformers.utils import logging as untyped

    logging: Any = untyped

    with _LOCK:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


@contextmanager
def progress_bar(work: Sized | None) -> Iterator[Callable[[int], None]]:
    """Draw a bar on standard error over so much work, or nothing for None.

    Yields a function to call with how much was done since the last call.
    """
    if work is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring pairs", total=len(work))
        yield lambda pairs: progress.advance(task, pairs)
