"""One request to a service: tried again where that helps, errors translated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from twopass.reranker.contract.deadlines import Deadline
from twopass.reranker.contract.errors import (
    DeniedError,
    InputError,
    ModelError,
    OutputError,
    OverloadedError,
    RemoteError,
    RerankerError,
    UnavailableError,
)
from twopass.reranker.scorers.remote.breaker import CircuitBreaker
from twopass.reranker.threads import reset_in_child

if TYPE_CHECKING:
    import httpx

__all__ = ["TooLargeError", "Transport"]

_LONGEST_WAIT = 30.0  # seconds that a service may ask for between two attempts
_BACK_OFF = wait_exponential(multiplier=0.25, max=8.0) + wait_random(0, 0.25)


class TooLargeError(RemoteError):
    """A request that the service refuses as it is; smaller ones may pass."""


class Transport:
    """Sends requests to one address, over connections that are kept; safe between threads.

    Args:
        url: the address.
        headers: sent with each request.
        timeout: seconds to wait for an answer.
        attempts: how often a request is sent at most: again after 429, 5xx, connection errors and
            time-outs, each time after a longer pause, or the one that the service asks for.
        breaker: what keeps requests from a service that is down.

    Raises:
        ModelError: when httpx is not installed.
        InputError: when the address is none.

    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        attempts: int,
        breaker: CircuitBreaker,
    ) -> None:
        self._httpx = _httpx()
        self.url = url
        self._headers = dict(headers)
        self._timeout = timeout
        self._attempts = attempts
        self._breaker = breaker
        if not url.startswith(("http://", "https://")):
            raise InputError(f"expected an address as http://localhost:8080, found {url!r}")
        try:
            self.reset()
        except (self._httpx.InvalidURL, ValueError, TypeError) as error:
            raise InputError(f"expected the address of a service, found {url!r}: {error}") from None
        reset_in_child(self)

    def reset(self) -> None:
        """Open new connections."""
        self._httpx.URL(self.url)
        self._client = self._httpx.Client(headers=self._headers, follow_redirects=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(self, body: Any, until: Deadline) -> Any:
        """Send JSON and return the JSON that is answered.

        Raises:
            TimeoutError: when the caller's time was up first.
            TooLargeError: when the service finds it too large, or of a form that it does not take.
            DeniedError: when it wants a key, or another one.
            OverloadedError: when it is too busy, and was after each pause.
            UnavailableError: when it cannot be had.
            RemoteError: when it refuses.

        """

        def pause(state: RetryCallState) -> float:
            asked = getattr(_error(state), "retry_after", None)
            return _BACK_OFF(state) if asked is None else min(float(asked), _LONGEST_WAIT)

        def late(state: RetryCallState) -> bool:
            return pause(state) >= until.left

        retrying = Retrying(
            retry=retry_if_exception(self._is_passing),
            stop=lambda state: stop_after_attempt(self._attempts)(state) or late(state),
            wait=pause,
            reraise=True,
        )
        return retrying(self._post_once, body, until)

    def _is_passing(self, error: BaseException) -> bool:
        """Return whether to try again: the failure may be temporary and the breaker is not open."""
        passing = isinstance(error, OverloadedError | UnavailableError)
        return passing and self._breaker.state != "open"

    def _post_once(self, body: Any, until: Deadline) -> Any:
        left = until.left
        if left <= 0:
            raise TimeoutError
        self._breaker.enter()
        try:
            response = self._client.post(self.url, json=body, timeout=min(left, self._timeout))
        except self._httpx.TimeoutException as error:
            if left < self._timeout:  # the caller's impatience says nothing of the service
                self._breaker.gave_up()
                raise TimeoutError from error
            self._breaker.failed()
            raise UnavailableError(f"{self.url}: no answer within {self._timeout:g} s") from error
        except self._httpx.HTTPError as error:
            self._breaker.failed()
            raise UnavailableError(
                f"{self.url}: {type(error).__name__}: {error or 'the connection was lost'}"
            ) from error
        except BaseException:
            self._breaker.gave_up()
            raise
        if response.status_code >= 500:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        if response.status_code == 200:
            return self._json(response)
        raise self._refusal(response)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise OutputError(f"{self.url}: expected JSON, found {response.text[:80]!r}") from error

    def _refusal(self, response: httpx.Response) -> RerankerError:
        """Return the error that a status means."""
        status = response.status_code
        said = f"{self.url}: status {status}, {' '.join(response.text[:200].split())!r}"
        if status in (413, 422):
            return TooLargeError(f"{said}: expected a request that the service takes")
        if status in (401, 403):
            return DeniedError(f"{said}: expected an api_key that the service knows")
        if status == 429:
            wanted = _retry_after(response.headers.get("Retry-After"))
            return OverloadedError(said, retry_after=1.0 if wanted is None else wanted)
        if status >= 500:
            error = UnavailableError(said)
            error.__dict__["retry_after"] = _retry_after(response.headers.get("Retry-After"))
            return error
        return RemoteError(f"{said}: expected a service of this dialect there")


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _retry_after(header: str | None) -> float | None:
    """Read a pause, in seconds or as a date (RFC 9110, 10.2.3); None where there is none."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise ModelError(
            "expected httpx for a remote scorer, found none: pip install 'twopass[remote]'"
        ) from error
    return httpx
