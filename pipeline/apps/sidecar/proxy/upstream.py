"""The search engine behind the proxy: one pool of connections, which keeps nothing of a caller."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic

import httpx

from twopass.pipeline.apps.settings.serve import ProxySettings
from twopass.pipeline.apps.sidecar.proxy.messages import Headers
from twopass.pipeline.errors import PipelineError

__all__ = ["Answer", "TooLargeError", "Upstream", "UpstreamError"]

_LOG = logging.getLogger(__name__)

_CONNECT = 5.0  # seconds
_IDLE = 30.0  # seconds that an idle connection is kept


class UpstreamError(PipelineError):
    """Elasticsearch gave no answer.

    Attributes:
        status: the caller's answer: 502, 503 or 504.

    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TooLargeError(PipelineError):
    """An answer that is larger than may be read."""


class _Patience:
    """Seconds that are left to wait for the search engine, over all parts of an exchange.

    What the caller takes to send a body or to read an answer does not count.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._limit = asyncio.timeout(None)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Count the time of a block.

        Raises:
            httpx.ReadTimeout: when there is none left.

        """
        started = monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._left)) as self._limit:
                yield
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer was not whole in time") from error
        finally:
            self._left -= monotonic() - started

    async def within(self, parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Yield an answer's parts."""
        iterator = aiter(parts)
        while True:
            async with self.waiting():
                part = await anext(iterator, None)
            if part is None:
                return
            yield part

    async def without(self, parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Yield a caller's parts, in a block that waits, without counting the time they take."""
        iterator = aiter(parts)
        while True:
            started, end = monotonic(), self._limit.when()
            self._limit.reschedule(None)
            part = await anext(iterator, None)
            took = monotonic() - started
            self._left += took
            self._limit.reschedule(None if end is None else end + took)
            if part is None:
                return
            yield part


class Answer:
    """An answer whose body is still to come; to be closed.

    Attributes:
        status: of HTTP.
        headers: as they came.

    """

    def __init__(self, response: httpx.Response, patience: _Patience) -> None:
        self._response = response
        self._patience = patience
        self.status = response.status_code
        self.headers: Headers = list(response.headers.multi_items())

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            TooLargeError: when it has more bytes than the limit.
            UpstreamError: when it breaks off, or is not whole in time.

        """
        parts: list[bytes] = []
        size = 0
        try:
            async for part in self._patience.within(self._response.aiter_bytes()):
                size += len(part)
                if size > limit:
                    raise TooLargeError(f"expected an answer of at most {limit} bytes, found more")
                parts.append(part)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _translated(error) from error
        finally:
            await self.close()
        return b"".join(parts)

    def raw(self) -> AsyncIterable[bytes]:
        """Yield the body as it comes, packed as it is."""
        return self._patience.within(self._response.aiter_raw())

    async def close(self) -> None:
        """Let go of the connection."""
        await self._response.aclose()


class Upstream:
    """One search engine.

    Nothing of one request is seen by another: cookies are not kept, and neither environment nor
    ``.netrc`` is read for proxies or passwords.
    """

    def __init__(self, settings: ProxySettings) -> None:
        self._url = settings.url
        self._seconds = settings.timeout
        self._timeout = httpx.Timeout(settings.timeout, connect=_CONNECT)
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(
                max_connections=settings.connections,
                max_keepalive_connections=settings.connections,
                keepalive_expiry=_IDLE,
            ),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            verify=ssl.create_default_context(cafile=settings.ca_certs),
        )

    async def send(
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        content: bytes | AsyncIterable[bytes] | None,
    ) -> Answer:
        """Send a request; where its body is at hand, again when a kept connection has gone.

        Raises:
            UpstreamError: when there is no answer.

        """
        url = f"{self._url}{path}" + (f"?{query}" if query else "")
        patience = _Patience(self._seconds)
        if isinstance(content, AsyncIterable):
            content = patience.without(content)
        request = httpx.Request(  # not build_request: it would add headers, and cookies
            method,
            url,
            headers=headers,
            content=content or None,
            extensions={"timeout": self._timeout.as_dict()},
        )
        for again in (isinstance(content, bytes), False):
            try:
                async with patience.waiting():
                    return Answer(await self._client.send(request, stream=True), patience)
            except httpx.HTTPError as error:
                if not (again and isinstance(error, _GONE)):
                    raise _translated(error) from error
        raise AssertionError("the second try returns or raises")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()


_GONE = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def _translated(error: Exception) -> UpstreamError:
    """Say what happened without naming the server, which callers need not know."""
    _LOG.warning("no answer from the search engine: %s: %s", type(error).__name__, error)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return UpstreamError("the search engine behind this proxy cannot be reached", 503)
    if isinstance(error, httpx.PoolTimeout):
        return UpstreamError("all connections to the search engine are in use", 503)
    if isinstance(error, httpx.TimeoutException):
        return UpstreamError("the search engine behind this proxy did not answer in time", 504)
    return UpstreamError("the search engine behind this proxy broke off its answer", 502)
