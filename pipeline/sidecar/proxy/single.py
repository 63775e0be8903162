"""``_search``: one search, reranked where it can be."""

from __future__ import annotations

from time import perf_counter
from urllib.parse import urlencode

from fastapi import Response

from pipeline.sidecar import tracing
from pipeline.sidecar.proxy.bodies import as_object, dumped
from pipeline.sidecar.proxy.exchange import Exchange, Fetched
from pipeline.sidecar.proxy.neural import HEADER, of_header, without_neural
from pipeline.sidecar.proxy.obstacles import Passed
from pipeline.sidecar.proxy.outcomes import Outcomes, finished, shards_failed
from pipeline.sidecar.proxy.rescoring import Rescorer
from pipeline.sidecar.proxy.window import Search, Window, window_of

__all__ = ["search"]

_JSON = "application/json"


async def search(
    exchange: Exchange, content: bytes, rescorer: Rescorer, outcomes: Outcomes
) -> Response:
    """Answer a search.

    Raises:
        SearchError: when what it says of reranking cannot be understood.
        UpstreamError: when Elasticsearch gives no answer.

    """
    plain = exchange.plain(content)
    body = plain if isinstance(plain, Passed) else as_object(plain)
    if body is None:
        body = Passed("body", "the body is no JSON object")
    if isinstance(body, Passed):
        return await _passed(exchange, content, None, body, outcomes)
    theirs, asked = without_neural(body)
    rescore = asked.over(of_header(exchange.request.headers.get(HEADER)))
    rescore = rescore.over(exchange.settings.default(exchange.target.index))
    meant = Search(exchange.target.index, theirs, exchange.params, rescore)
    window = window_of(meant, stable_pages=exchange.settings.stable_pages)
    parted = theirs.get("rescore") is not body.get("rescore")
    anew = dumped(theirs) if parted else None
    if isinstance(window, Passed):
        return await _passed(exchange, content, anew, window, outcomes)
    return await _reranked(exchange, content, anew, window, rescorer, outcomes)


async def _passed(
    exchange: Exchange, content: bytes, anew: bytes | None, why: Passed, outcomes: Outcomes
) -> Response:
    outcomes.passed(why)
    if anew is None:
        return await exchange.pass_on(content, why)
    return await exchange.pass_on(anew, why, anew=_JSON)


async def _reranked(
    exchange: Exchange,
    content: bytes,
    anew: bytes | None,
    window: Window,
    rescorer: Rescorer,
    outcomes: Outcomes,
) -> Response:
    started = perf_counter()
    with tracing.stage("retrieval", searches=1):
        fetched = await exchange.fetch(urlencode(window.params), dumped(window.body), _JSON)
    retrieval = perf_counter() - started
    if isinstance(fetched, Response):
        outcomes.passed(Passed("error", ""))
        return fetched
    if isinstance(fetched, Fetched) and shards_failed(fetched.body):
        fetched = Passed("shards", "shards failed on the search for the window")
    if isinstance(fetched, Fetched) and "hits" not in fetched.body:
        fetched = Passed("refused", "the search for the window has no hits in its answer")
    if isinstance(fetched, Passed):
        return await _passed(exchange, content, anew, fetched, outcomes)
    rescored = await rescorer.rescore(fetched.body["hits"]["hits"], window)
    outcomes.reranked(rescored, retrieval)
    answer = finished(fetched.body, window, rescored, retrieval, exchange.settings.annotate)
    return exchange.answer_anew(fetched.answer, answer, rescored.status, rescored.reason)
