"""Silence for a library that talks while it loads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = ["quiet_transformers"]

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
