"""``_msearch``: many searches in one request, each reranked where it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from fastapi import Response

from twopass.pipeline.apps.settings.serve import NeuralRescore
from twopass.pipeline.apps.sidecar import tracing
from twopass.pipeline.apps.sidecar.proxy.answers import (
    Outcomes,
    final_answer,
    has_hits,
    shards_failed,
)
from twopass.pipeline.apps.sidecar.proxy.exchange import Exchange, Fetched
from twopass.pipeline.apps.sidecar.proxy.messages import json_object, to_json
from twopass.pipeline.apps.sidecar.proxy.obstacles import Params, PassedOn
from twopass.pipeline.apps.sidecar.proxy.rescorer import Rescored, Rescorer
from twopass.pipeline.apps.sidecar.proxy.window import (
    HEADER,
    Search,
    Window,
    rescore_of_header,
    split_neural,
    window_of,
)
from twopass.pipeline.errors import SearchError

__all__ = ["answer_msearch"]

_NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class _Item:
    """One search among many.

    Attributes:
        line: what stands above its body, as it came.
        body: Elasticsearch's part of the body, as it came.
        parted: whether a part of the body was ours.
        plan: what is sent in its place, or why it goes on.

    """

    line: dict[str, Any]
    body: dict[str, Any]
    parted: bool
    plan: Window | PassedOn

    def sent(self) -> bytes:
        """Write the search for the window; its own where there is none."""
        if isinstance(self.plan, PassedOn):
            return self.own()
        line = {**self.line}
        if "preference" in dict(self.plan.params):
            line["preference"] = dict(self.plan.params)["preference"]
        return to_json(line) + b"\n" + to_json(self.plan.body) + b"\n"

    def own(self) -> bytes:
        """Write the caller's search."""
        return to_json(self.line) + b"\n" + to_json(self.body) + b"\n"


async def answer_msearch(
    exchange: Exchange, content: bytes, rescorer: Rescorer, outcomes: Outcomes
) -> Response:
    """Answer many searches.

    Raises:
        SearchError: when what one says of reranking cannot be understood.
        UpstreamError: when Elasticsearch gives no answer.

    """
    plain = exchange.plain(content)
    # Thousands of searches must not keep other requests waiting.
    items = (
        plain if isinstance(plain, PassedOn) else await asyncio.to_thread(_items, exchange, plain)
    )
    if isinstance(items, PassedOn):
        outcomes.passed(items)
        return await exchange.pass_on(content, items)
    if not any(isinstance(item.plan, Window) for item in items):
        return await _passed(exchange, content, items, _together(items), outcomes)
    return await _reranked(exchange, content, items, rescorer, outcomes)


def _items(exchange: Exchange, content: bytes) -> list[_Item] | PassedOn:
    """Read the searches, two lines each."""
    lines = content.split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    objects = [json_object(line) for line in lines]
    if not objects or len(objects) % 2 or None in objects:
        return PassedOn("body", "the body is not one line and one search a search")
    read = [each for each in objects if each is not None]
    header = rescore_of_header(exchange.request.headers.get(HEADER))
    params = exchange.params  # read once: both they and the searches may be many
    return [
        _item(exchange, params, position, line, body, header)
        for position, (line, body) in enumerate(zip(read[::2], read[1::2], strict=True))
    ]


def _item(
    exchange: Exchange,
    params: Params,
    position: int,
    line: dict[str, Any],
    body: dict[str, Any],
    header: NeuralRescore,
) -> _Item:
    try:
        theirs, rescore = split_neural(body)
    except SearchError as error:
        raise SearchError(f"search {position}: {error}") from error
    named = line.get("index", exchange.target.index)
    index = ",".join(map(str, named)) if isinstance(named, list) else str(named or "")
    rescore = rescore.over(header).over(exchange.settings.default(index))
    given = [(name, str(line[name])) for name in ("preference",) if name in line]
    search = Search(index, theirs, (*params, *given), rescore)
    plan = window_of(search, stable_pages=exchange.settings.stable_pages)
    parted = theirs.get("rescore") is not body.get("rescore")
    return _Item(line, theirs, parted, plan)


def _together(items: Sequence[_Item]) -> PassedOn:
    plans = [item.plan for item in items if isinstance(item.plan, PassedOn)]
    codes = dict.fromkeys(plan.code for plan in plans)
    reasons = dict.fromkeys(plan.reason for plan in plans)
    return PassedOn(",".join(codes), "; ".join(reasons))


async def _passed(
    exchange: Exchange, content: bytes, items: Sequence[_Item], why: PassedOn, outcomes: Outcomes
) -> Response:
    for item in items:
        outcomes.passed(item.plan if isinstance(item.plan, PassedOn) else why)
    if not any(item.parted for item in items):
        return await exchange.pass_on(content, why)
    return await exchange.pass_on(b"".join(item.own() for item in items), why, rewritten=_NDJSON)


async def _reranked(
    exchange: Exchange,
    content: bytes,
    items: Sequence[_Item],
    rescorer: Rescorer,
    outcomes: Outcomes,
) -> Response:
    started = perf_counter()
    sent = b"".join(each.sent() for each in items)
    with tracing.stage("retrieval", searches=len(items)):
        fetched = await exchange.fetch(exchange.query, sent, _NDJSON)
    if isinstance(fetched, Response):
        outcomes.passed(PassedOn("error", ""))
        return fetched
    found = [] if isinstance(fetched, PassedOn) else _responses(fetched.body)
    if isinstance(fetched, PassedOn) or len(found) != len(items):
        why = fetched if isinstance(fetched, PassedOn) else _REFUSED
        return await _passed(exchange, content, items, why, outcomes)
    plans = [item.plan for item in items]
    for position, own in (await _again(exchange, items, found)).items():
        found[position], plans[position] = own, _REFUSED
    retrieval = perf_counter() - started
    work = (
        _finished(plan, response, rescorer, retrieval, exchange.settings.annotate)
        for plan, response in zip(plans, found, strict=True)
    )
    results = await asyncio.gather(*work)
    _count(outcomes, plans, [rescored for _, rescored in results], retrieval)
    took = fetched.body.get("took", 0) + round((perf_counter() - started - retrieval) * 1000)
    answer = {**fetched.body, "took": took, "responses": [response for response, _ in results]}
    return exchange.rewritten_answer(fetched.answer, answer, *_said([each for _, each in results]))


def _responses(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answers to all searches; none if they are malformed."""
    found = answer.get("responses")
    if not isinstance(found, list) or not isinstance(answer.get("took", 0), int | float):
        return []
    return found if all(isinstance(each, dict) for each in found) else []


_REFUSED = PassedOn("refused", "the search for the window failed")


async def _again(
    exchange: Exchange, items: Sequence[_Item], found: Sequence[dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Send searches as they came whose windows failed; return their answers by position."""
    positions = [
        position
        for position, (item, response) in enumerate(zip(items, found, strict=True))
        if isinstance(item.plan, Window) and ("error" in response or shards_failed(response))
    ]
    if not positions:
        return {}
    sent = b"".join(items[position].own() for position in positions)
    fetched = await exchange.fetch(exchange.query, sent, _NDJSON)
    own = _responses(fetched.body) if isinstance(fetched, Fetched) else []
    return dict(zip(positions, own, strict=False))


async def _finished(
    plan: Window | PassedOn,
    response: dict[str, Any],
    rescorer: Rescorer,
    retrieval: float,
    annotate: bool,
) -> tuple[dict[str, Any], Rescored | None]:
    if isinstance(plan, PassedOn) or not has_hits(response):
        return response, None
    rescored = await rescorer.rescore(response["hits"]["hits"], plan)
    return final_answer(response, plan, rescored, retrieval, annotate), rescored


def _count(
    outcomes: Outcomes,
    plans: Sequence[Window | PassedOn],
    rescored: Sequence[Rescored | None],
    retrieval: float,
) -> None:
    for plan, one in zip(plans, rescored, strict=True):
        if one is not None:
            outcomes.reranked(one, retrieval)
        else:
            outcomes.passed(plan if isinstance(plan, PassedOn) else _REFUSED)


def _said(rescored: Sequence[Rescored | None]) -> tuple[str, str]:
    """Say of all searches together how they went: one status where they have one, and reasons."""
    states = dict.fromkeys("passed" if one is None else one.status for one in rescored)
    reasons = dict.fromkeys(one.reason for one in rescored if one is not None and one.reason)
    return next(iter(states)) if len(states) == 1 else "mixed", "; ".join(reasons)
