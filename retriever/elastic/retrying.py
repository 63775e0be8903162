"""How long to try again when a server cannot be reached or is too busy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from retriever.base import UnreachableError

__all__ = ["retrying"]

_LONGEST = 20.0

_logger = logging.getLogger(__name__)


def retrying(
    retries: int,
    *,
    first: float = 0.2,
    unless: Callable[[UnreachableError], bool] = lambda _: False,
    unfinished: Callable[[Any], bool] = lambda _: False,
) -> Retrying:
    """Return what calls a function again when it raises ``UnreachableError``.

    The waits double, up to 20 seconds, and up to half of the first is added by chance to each, so
    that many callers do not come back at once. After the last try its outcome stands: what it
    returned or raised.

    Args:
        retries: how often after the first call.
        first: the wait before the first of them, in seconds.
        unless: errors that are not worth another call.
        unfinished: results that are.

    """
    return Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, UnreachableError) and not unless(e))
        | retry_if_result(unfinished),
        wait=wait_exponential(multiplier=first, max=_LONGEST) + wait_random(0, first / 2),
        stop=stop_after_attempt(retries + 1),
        before_sleep=before_sleep_log(_logger, logging.INFO),
        retry_error_callback=_outcome,
    )


def _outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome is not None else None
