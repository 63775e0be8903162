"""One request to the proxy, what is known of it, and how it goes on unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from pipeline.settings.proxy import ProxySettings
from pipeline.sidecar import tracing
from pipeline.sidecar.proxy import headers
from pipeline.sidecar.proxy.bodies import as_object, unpacked
from pipeline.sidecar.proxy.obstacles import Params, Passed
from pipeline.sidecar.proxy.shapes import json_response
from pipeline.sidecar.proxy.targets import Target
from pipeline.sidecar.proxy.upstream import Answer, TooLargeError, Upstream

__all__ = ["Exchange", "Fetched"]

_OURS = (400, 413, 500)  # answers that may be owed to what was added to a search


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of Elasticsearch's, and its body."""

    answer: Answer
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A caller's request.

    Attributes:
        request: as it came.
        target: what it is about.
        settings: the proxy's.
        upstream: where it goes.

    """

    request: Request
    target: Target
    settings: ProxySettings
    upstream: Upstream

    @property
    def query(self) -> str:
        """The query string, as it came."""
        return str(self.request.url.query)

    @property
    def params(self) -> Params:
        """The query string's parameters."""
        return tuple(parse_qsl(self.query, keep_blank_values=True))

    @property
    def headers(self) -> headers.Headers:
        """The request's headers for Elasticsearch."""
        theirs = headers.of_request(self.request.headers.items(), self.settings)
        return tracing.carried(theirs)

    def plain(self, content: bytes) -> bytes | Passed:
        """Return the body as text, or why the search is not one to be read here."""
        found = self.request.headers
        if "json" not in found.get("content-type", "json"):
            return Passed("format", "the body is not JSON")
        if not any(each in found.get("accept", "json") for each in ("json", "*/*")):
            return Passed("format", "the answer is asked for in another format than JSON")
        limit = self.settings.max_body_bytes
        plain = unpacked(content, found.get("content-encoding", "").lower(), limit)
        return Passed("body", "the body cannot be unpacked here") if plain is None else plain

    async def _ask(self, params: str, content: bytes, kind: str) -> Answer:
        """Send a body that was written anew, for an answer that is read here."""
        sent = headers.with_body(self.headers, kind)
        return await self.upstream.send("POST", self.target.path, params, sent, content)

    async def fetch(self, params: str, content: bytes, kind: str) -> Fetched | Passed | Response:
        """Send a body that was written anew, and read its answer.

        Returns:
            What Elasticsearch found; or why the caller's own request is to be sent, since the
            failure may be owed to the new one; or Elasticsearch's error, for the caller.

        """
        answer = await self._ask(params, content, kind)
        if answer.status in _OURS:
            await answer.close()
            return Passed("refused", f"the search for the window was answered {answer.status}")
        if answer.status != 200:
            return self.answered(answer, Passed("error", f"Elasticsearch answered {answer.status}"))
        try:
            found = as_object(await answer.read(self.settings.max_answer_bytes))
        except TooLargeError as error:
            return Passed("answer", str(error))
        if not found:
            return Passed("refused", "the search for the window has no answer in JSON")
        return Fetched(answer, found)

    async def pass_on(
        self,
        content: bytes | AsyncIterable[bytes] | None,
        passed: Passed,
        *,
        anew: str | None = None,
    ) -> Response:
        """Send the request as it came, and answer what Elasticsearch answers, as it comes.

        Args:
            content: the body.
            passed: why it goes on.
            anew: the kind of a body that was written anew.

        """
        sent = self.headers if anew is None else headers.with_body(self.headers, anew)
        answer = await self.upstream.send(
            self.request.method, self.target.path, self.query, sent, content
        )
        return self.answered(answer, passed)

    def answered(self, answer: Answer, passed: Passed) -> Response:
        """Answer what Elasticsearch answered."""
        response = StreamingResponse(
            _raw(answer), answer.status, background=BackgroundTask(answer.close)
        )
        found = headers.of_answer(answer.headers)
        found += _said("passed", f"{passed.code}: {passed.reason}").items()
        response.raw_headers = headers.encoded(found)
        return response

    def answer_anew(self, answer: Answer, content: Any, status: str, reason: str) -> Response:
        """Answer with a body of ours, and the headers that Elasticsearch sent."""
        found = [*headers.of_answer(answer.headers, anew=True), *_said(status, reason).items()]
        pretty = dict(self.params).get("pretty", "false") != "false"
        packed = headers.accepts_gzip(self.request.headers)
        return json_response(content, answer.status, found, packed=packed, pretty=pretty)


def _said(status: str, reason: str) -> dict[str, str]:
    """Return the headers that say how reranking went."""
    found = {"x-twopass-status": status}
    if reason:
        found["x-twopass-reason"] = " ".join(reason.split()).encode("ascii", "replace").decode()
    return found


async def _raw(answer: Answer) -> AsyncIterator[bytes]:
    try:
        async for part in answer.raw():
            yield part
    finally:
        await answer.close()
