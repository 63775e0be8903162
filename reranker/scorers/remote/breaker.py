"""A circuit breaker: a service that is down is not called for a while, then tried once.

Source: Nygard 2007, "Release It!". Closed: requests pass. Open, after so many failures in a row:
none passes. Half-open, after a pause: one passes, and its outcome closes or opens it again.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import Literal

from twopass.reranker.contract.errors import InputError, UnavailableError
from twopass.reranker.threads import reset_in_child

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """Counts failures and says whether to try; safe to use from several threads.

    Args:
        failures: failures in a row that open it.
        pause: seconds until it is tried again.

    Raises:
        InputError: when they are not positive.

    """

    def __init__(self, failures: int = 5, pause: float = 10.0) -> None:
        if failures < 1 or not pause > 0:
            raise InputError(f"expected failures and a pause above 0, found {failures}, {pause}")
        self._allowed = failures
        self._pause = pause
        self.reset()
        reset_in_child(self)

    def reset(self) -> None:
        """Close it and forget."""
        self._lock = Lock()
        self._failures = 0
        self._opened = 0.0
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Whether requests pass: all, none, or one."""
        with self._lock:
            return self._state()

    def enter(self) -> None:
        """Pass, if it is allowed; then ``succeeded``, ``failed`` or ``gave_up`` must follow.

        Raises:
            UnavailableError: when it is open.

        """
        with self._lock:
            state = self._state()
            if state == "open" or (state == "half-open" and self._trying):
                raise UnavailableError(
                    f"the service failed {self._failures} times in a row; it is tried again in "
                    f"{max(0.0, self._opened + self._pause - monotonic()):.1f} s"
                )
            self._trying = state == "half-open"

    def succeeded(self) -> None:
        """Close it."""
        with self._lock:
            self._failures, self._trying = 0, False

    def failed(self) -> None:
        """Count a failure; enough of them, or a failed trial, open it."""
        with self._lock:
            self._failures += 1
            self._opened, self._trying = monotonic(), False

    def gave_up(self) -> None:
        """Count nothing: the caller did not wait for the outcome."""
        with self._lock:
            self._trying = False

    def _state(self) -> Literal["closed", "open", "half-open"]:
        if self._failures < self._allowed:
            return "closed"
        return "open" if monotonic() < self._opened + self._pause else "half-open"
