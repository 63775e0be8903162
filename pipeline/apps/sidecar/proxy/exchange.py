"""One request to the proxy: which part of the API it is for, and how it is passed on unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from twopass.pipeline.apps.settings.serve import ProxySettings
from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.proxy import messages
from twopass.pipeline.apps.sidecar.proxy.messages import decompressed, json_object, json_response
from twopass.pipeline.apps.sidecar.proxy.obstacles import MOST_PARAMS, Params, PassedOn
from twopass.pipeline.apps.sidecar.proxy.upstream import Answer, TooLargeError, Upstream

__all__ = [
    "Exchange",
    "Fetched",
    "Target",
    "target_of",
]


_SEARCHES = ("_search", "_msearch")


@dataclass(frozen=True, slots=True)
class Target:
    """A path of Elasticsearch's API, read as it reads it.

    Attributes:
        parts: the path's parts, decoded.

    """

    parts: tuple[str, ...]

    @property
    def index(self) -> str:
        """What the path names before the API; empty for all indices."""
        return "" if not self.parts or _is_api(self.parts[0]) else self.parts[0]

    @property
    def api(self) -> str:
        """The API, from its first part on: ``_search``, ``_search/scroll``, ``_doc/1``.

        Of an index's own path it is ``{index}``, and of the root ``/``.
        """
        api = self.parts[1:] if self.index else self.parts
        return "/".join(api) or ("{index}" if self.index else "/")

    @property
    def is_search(self) -> bool:
        """Return whether it is a search whose body is read here."""
        return self.api in _SEARCHES

    @property
    def path(self) -> str:
        """The path, written so that there is one way to read it."""
        return "/" + "/".join(quote(part, safe="") for part in self.parts)

    @property
    def climbs(self) -> bool:
        """Return whether the path could lead out of the address in ``proxy.url``.

        In an index's name encoded slashes count, too: what stands before the server may decode it.
        """
        names = self.index.replace("\\", "/").split("/")
        return any(name in (".", "..") for name in (*self.parts, *names))

    def is_open(self, method: str, allow: Sequence[str]) -> bool:
        """Return whether the settings' ``proxy.allow`` lets a request through."""
        if self.climbs:
            return False
        if self.is_search:
            return method in ("GET", "POST")
        return any(self._is_meant(method, entry) for entry in allow)

    def _is_meant(self, method: str, entry: str) -> bool:
        verb, _, api = entry.rpartition(" ")
        if verb and verb.upper() != method:
            return False
        return api == "*" or self.api == api or self.api.startswith(f"{api}/")


def target_of(raw_path: str) -> Target:
    """Read a path that is still encoded: date mathematics puts a / into an index's name."""
    return Target(tuple(unquote(part) for part in raw_path.split("/") if part))


def _is_api(part: str) -> bool:
    return part.startswith("_") and part.partition(",")[0] != "_all"


_OURS = (400, 413, 500)  # answers that may be due to what was added to a search


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
        """The query string's parameters; of too many, as many as show that they are."""
        pairs = self.query.split("&", MOST_PARAMS + 1)[: MOST_PARAMS + 1]
        return tuple(parse_qsl("&".join(pairs), keep_blank_values=True))

    @property
    def headers(self) -> messages.Headers:
        """The request's headers for Elasticsearch."""
        theirs = messages.request_headers(self.request.headers.items(), self.settings)
        return tracing.with_trace_context(theirs)

    def plain(self, content: bytes) -> bytes | PassedOn:
        """Return the body as text, or why the search is not one to be read here."""
        found = self.request.headers
        if "json" not in found.get("content-type", "json"):
            return PassedOn("format", "the body is not JSON")
        if not any(each in found.get("accept", "json") for each in ("json", "*/*")):
            return PassedOn("format", "the caller wants the answer in another format than JSON")
        limit = self.settings.max_body_bytes
        plain = decompressed(content, found.get("content-encoding", "").lower(), limit)
        return PassedOn("body", "the body cannot be decompressed here") if plain is None else plain

    async def _ask(self, params: str, content: bytes, kind: str) -> Answer:
        """Send a rewritten body, for an answer that is read here."""
        sent = messages.with_body(self.headers, kind)
        return await self.upstream.send("POST", self.target.path, params, sent, content)

    async def fetch(self, params: str, content: bytes, kind: str) -> Fetched | PassedOn | Response:
        """Send a rewritten body, and read its answer.

        Returns:
            What Elasticsearch found; or why the caller's own request is to be sent, since the
            failure may be due to the new one; or Elasticsearch's error, for the caller.

        """
        answer = await self._ask(params, content, kind)
        if answer.status in _OURS:
            await answer.close()
            return PassedOn("refused", f"the search for the window was answered {answer.status}")
        if answer.status != 200:
            return self.answered(
                answer, PassedOn("error", f"Elasticsearch answered {answer.status}")
            )
        try:
            found = json_object(await answer.read(self.settings.max_answer_bytes))
        except TooLargeError as error:
            return PassedOn("answer", str(error))
        if not found:
            return PassedOn("refused", "the search for the window has no answer in JSON")
        return Fetched(answer, found)

    async def pass_on(
        self,
        content: bytes | AsyncIterable[bytes] | None,
        passed: PassedOn,
        *,
        rewritten: str | None = None,
    ) -> Response:
        """Send the request as it came, and answer what Elasticsearch answers, as it comes.

        Args:
            content: the body.
            passed: why it goes on.
            rewritten: the content type of a rewritten body; None where it is as it came.

        """
        sent = self.headers if rewritten is None else messages.with_body(self.headers, rewritten)
        answer = await self.upstream.send(
            self.request.method, self.target.path, self.query, sent, content
        )
        return self.answered(answer, passed)

    def answered(self, answer: Answer, passed: PassedOn) -> Response:
        """Answer what Elasticsearch answered."""
        response = StreamingResponse(
            _raw(answer), answer.status, background=BackgroundTask(answer.close)
        )
        found = messages.answer_headers(answer.headers)
        found += _said("passed", f"{passed.code}: {passed.reason}").items()
        response.raw_headers = messages.encoded(found)
        return response

    def rewritten_answer(self, answer: Answer, content: Any, status: str, reason: str) -> Response:
        """Answer with a body of ours, and the headers that Elasticsearch sent."""
        found = [
            *messages.answer_headers(answer.headers, rewritten=True),
            *_said(status, reason).items(),
        ]
        pretty = dict(self.params).get("pretty", "false") != "false"
        packed = messages.accepts_gzip(self.request.headers)
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
