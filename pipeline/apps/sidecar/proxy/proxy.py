"""The proxy: what it accepts and refuses, and ``_search``, reranked where it can be."""

from __future__ import annotations

from collections.abc import AsyncIterable
from time import perf_counter
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from twopass.pipeline.apps.assembly import build_fusion
from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.cancellation import CLIENT_CLOSED_REQUEST, cancel_on_disconnect
from twopass.pipeline.apps.sidecar.keys import key_in, matches
from twopass.pipeline.apps.sidecar.metrics import Metrics
from twopass.pipeline.apps.sidecar.models import Models
from twopass.pipeline.apps.sidecar.proxy.answers import (
    Outcomes,
    final_answer,
    has_hits,
    shards_failed,
)
from twopass.pipeline.apps.sidecar.proxy.exchange import Exchange, Fetched, target_of
from twopass.pipeline.apps.sidecar.proxy.messages import (
    error_response,
    json_object,
    read_body,
    to_json,
)
from twopass.pipeline.apps.sidecar.proxy.msearch import answer_msearch
from twopass.pipeline.apps.sidecar.proxy.obstacles import PassedOn
from twopass.pipeline.apps.sidecar.proxy.rescorer import InThread, Rescorer
from twopass.pipeline.apps.sidecar.proxy.upstream import Upstream, UpstreamError
from twopass.pipeline.apps.sidecar.proxy.window import (
    HEADER,
    Search,
    Window,
    rescore_of_header,
    split_neural,
    window_of,
)
from twopass.pipeline.errors import SearchError

__all__ = [
    "METHODS",
    "Proxy",
    "answer_search",
]


_JSON = "application/json"


async def answer_search(
    exchange: Exchange, content: bytes, rescorer: Rescorer, outcomes: Outcomes
) -> Response:
    """Answer a search.

    Raises:
        SearchError: when what it says of reranking cannot be understood.
        UpstreamError: when Elasticsearch gives no answer.

    """
    plain = exchange.plain(content)
    body = plain if isinstance(plain, PassedOn) else json_object(plain)
    if body is None:
        body = PassedOn("body", "the body is no JSON object")
    if isinstance(body, PassedOn):
        return await _passed(exchange, content, None, body, outcomes)
    theirs, rescore = split_neural(body)
    rescore = rescore.over(rescore_of_header(exchange.request.headers.get(HEADER)))
    rescore = rescore.over(exchange.settings.default(exchange.target.index))
    meant = Search(exchange.target.index, theirs, exchange.params, rescore)
    window = window_of(meant, stable_pages=exchange.settings.stable_pages)
    parted = theirs.get("rescore") is not body.get("rescore")
    rewritten = to_json(theirs) if parted else None
    if isinstance(window, PassedOn):
        return await _passed(exchange, content, rewritten, window, outcomes)
    return await _reranked(exchange, content, rewritten, window, rescorer, outcomes)


async def _passed(
    exchange: Exchange, content: bytes, rewritten: bytes | None, why: PassedOn, outcomes: Outcomes
) -> Response:
    outcomes.passed(why)
    if rewritten is None:
        return await exchange.pass_on(content, why)
    return await exchange.pass_on(rewritten, why, rewritten=_JSON)


async def _reranked(
    exchange: Exchange,
    content: bytes,
    rewritten: bytes | None,
    window: Window,
    rescorer: Rescorer,
    outcomes: Outcomes,
) -> Response:
    started = perf_counter()
    with tracing.stage("retrieval", searches=1):
        fetched = await exchange.fetch(urlencode(window.params), to_json(window.body), _JSON)
    retrieval = perf_counter() - started
    if isinstance(fetched, Response):
        outcomes.passed(PassedOn("error", ""))
        return fetched
    if isinstance(fetched, Fetched) and shards_failed(fetched.body):
        fetched = PassedOn("shards", "shards failed on the search for the window")
    if isinstance(fetched, Fetched) and not has_hits(fetched.body):
        fetched = PassedOn("refused", "the search for the window has no hits in its answer")
    if isinstance(fetched, PassedOn):
        return await _passed(exchange, content, rewritten, fetched, outcomes)
    rescored = await rescorer.rescore(fetched.body["hits"]["hits"], window)
    outcomes.reranked(rescored, retrieval)
    answer = final_answer(fetched.body, window, rescored, retrieval, exchange.settings.annotate)
    return exchange.rewritten_answer(fetched.answer, answer, rescored.status, rescored.reason)


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
                "expected a path without the parts . and .."
                if target.climbs
                else f"{request.method} {target.api} is not open on this proxy; "
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
            return Response(status_code=CLIENT_CLOSED_REQUEST)

    async def _answer(self, exchange: Exchange) -> Response:
        if not exchange.target.is_search:
            why = PassedOn("api", f"{exchange.target.api} is no search")
            return await exchange.pass_on(_streamed(exchange.request), why)
        content = await read_body(exchange.request, self._settings.proxy.max_body_bytes)
        if not isinstance(content, bytes):
            why = PassedOn("body", "the body is larger than proxy.max_body_bytes")
            self._outcomes.passed(why)
            return await exchange.pass_on(content, why)
        answer = answer_search if exchange.target.api == "_search" else answer_msearch
        work = answer(exchange, content, self._rescorer, self._outcomes)
        return await cancel_on_disconnect(exchange.request.receive, work)

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
