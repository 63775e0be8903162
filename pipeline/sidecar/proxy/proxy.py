"""The proxy: what it takes in, what it refuses, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterable

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from pipeline.assembly import build_fusion
from pipeline.errors import SearchError
from pipeline.settings import Settings
from pipeline.sidecar.connected import GONE, while_connected
from pipeline.sidecar.keys import key_in, matches
from pipeline.sidecar.metrics import Metrics
from pipeline.sidecar.models import Models
from pipeline.sidecar.proxy.bodies import read_body
from pipeline.sidecar.proxy.exchange import Exchange
from pipeline.sidecar.proxy.multiple import search_many
from pipeline.sidecar.proxy.obstacles import Passed
from pipeline.sidecar.proxy.outcomes import Outcomes
from pipeline.sidecar.proxy.rescoring import InThread, Rescorer
from pipeline.sidecar.proxy.shapes import error_response
from pipeline.sidecar.proxy.single import search
from pipeline.sidecar.proxy.targets import target_of
from pipeline.sidecar.proxy.upstream import Upstream, UpstreamError

__all__ = ["METHODS", "Proxy"]

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


class Proxy:
    """Stands in front of a search engine and reranks what it finds.

    Args:
        settings: all of the pipeline's; ``proxy.url`` names the engine.
        models: the second stages that a search may name.
        in_thread: where scoring, which blocks, is run.
        metrics: where to count.

    """

    def __init__(
        self, settings: Settings, models: Models, in_thread: InThread, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._upstream = Upstream(settings.proxy)
        self._rescorer = Rescorer(models, build_fusion(settings), in_thread)
        self._outcomes = Outcomes(metrics)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._upstream.close()

    async def check(self) -> str:
        """Say whether the search engine answers, to whomever: ok, or what is wrong."""
        try:
            answer = await self._upstream.send("GET", "/", "", [], None)
        except UpstreamError as error:
            return str(error)
        await answer.close()
        return "ok"

    async def handle(self, request: Request) -> Response:
        """Answer any request; also errors are in Elasticsearch's shape."""
        raw_path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        target = target_of(raw_path)
        if not self._is_known(request):
            reason = "expected a key of the proxy's in the header x-api-key"
            return error_response("security_exception", reason, 401)
        if not target.is_open(request.method, self._settings.proxy.allow):
            reason = (
                f"{request.method} {target.api} is not open on this proxy; "
                "the setting proxy.allow opens further parts of the API"
            )
            return error_response("forbidden_api_exception", reason, 403)
        try:
            return await self._answer(
                Exchange(request, target, self._settings.proxy, self._upstream)
            )
        except SearchError as error:
            return error_response("parsing_exception", str(error), 400)
        except UpstreamError as error:
            return error_response("twopass_upstream_exception", str(error), error.status)
        except ClientDisconnect:  # before all of its body was here
            return Response(status_code=GONE)

    async def _answer(self, exchange: Exchange) -> Response:
        if not exchange.target.is_search:
            why = Passed("api", f"{exchange.target.api} is no search")
            return await exchange.pass_on(_streamed(exchange.request), why)
        content = await read_body(exchange.request, self._settings.proxy.max_body_bytes)
        if not isinstance(content, bytes):
            why = Passed("body", "the body is larger than proxy.max_body_bytes")
            self._outcomes.passed(why)
            return await exchange.pass_on(content, why)
        answer = search if exchange.target.api == "_search" else search_many
        work = answer(exchange, content, self._rescorer, self._outcomes)
        return await while_connected(exchange.request.receive, work)

    def _is_known(self, request: Request) -> bool:
        """Check a key of the sidecar's, where it has any.

        Where the caller's credentials go on, ``Authorization`` is Elasticsearch's.
        """
        keys = self._settings.serve.api_keys
        if not keys:
            return True
        given = dict(request.headers)
        if self._settings.proxy.credentials == "caller":
            given.pop("authorization", None)
        return matches(key_in(given) or "", keys)


def _streamed(request: Request) -> AsyncIterable[bytes] | None:
    """Return the body as it comes, nothing where there is none."""
    headers = request.headers
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return request.stream() if has_body else None
