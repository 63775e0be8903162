"""Real servers that fail as they are told while many ask at once: an answer, or the right error."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from faults import Fault, FaultyProxy, serving

from ..running import Running
from .engines import DOCUMENTS, Engine, Start

pytestmark = pytest.mark.server

FAULTS: list[Fault] = ["refuse", "lose", "half", "slow", 429, 503]
KINDS = sorted({source["kind"] for source in DOCUMENTS.values()})  # each caller's own word
CALLERS, SEARCHES = 12, 8
KEY = base64.b64encode(b"an-id:a-secret").decode()


@dataclass(frozen=True)
class Asked:
    """A search, and what became of it; no answer where the connection broke."""

    kind: str
    body: dict[str, Any]
    many: bool
    answer: httpx.Response | None


@pytest.fixture
def faulty(engine: Engine) -> Iterator[FaultyProxy]:
    with serving(FaultyProxy(engine.url)) as faulty:
        yield faulty


@pytest.fixture
def proxy(faulty: FaultyProxy, start: Start) -> Running:
    return start(faulty.url, rerank={"window_size": 20, "deadline": 60})


def searches(seed: int) -> list[tuple[str, dict[str, Any], bool]]:
    """Return one caller's: of its own kind; some cannot be reranked, some are ``_msearch``."""
    draw = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    found = []
    for _ in range(SEARCHES):
        only = {"filter": {"term": {"kind": kind}}, "must": {"match": {"text": f"{kind} mice"}}}
        body: dict[str, Any] = {"query": {"bool": only}, "size": draw.randint(1, 12)}
        if draw.random() < 0.25:
            body["sort"] = ["number"]
        found.append((kind, body, draw.random() < 0.3))
    return found


async def load(url: str, index: str) -> list[Asked]:
    """Let all callers ask at once, each one search after the other."""
    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:

        async def ask(seed: int) -> list[Asked]:
            done = []
            for kind, body, many in searches(seed):
                try:
                    answer = await client.post(**_request(index, body, many=many))
                except httpx.RemoteProtocolError:  # of an answer that is passed on as it comes
                    answer = None
                done.append(Asked(kind, body, many, answer))
            return done

        return [each for some in await asyncio.gather(*map(ask, range(CALLERS))) for each in some]


def _request(index: str, body: dict[str, Any], *, many: bool) -> dict[str, Any]:
    if not many:
        return {"url": f"/{index}/_search", "json": body}
    lines = "".join(json.dumps(line) + "\n" for line in ({"index": index}, body))
    return {
        "url": "/_msearch",
        "content": lines,
        "headers": {"content-type": "application/x-ndjson"},
    }


def found(answer: httpx.Response, *, many: bool) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body["responses"][0] if many else body


def test_each_search_is_answered_right_or_fails_by_type(
    engine: Engine, faulty: FaultyProxy, proxy: Running, start: Start
) -> None:
    whole = start(engine.url, rerank={"window_size": 20, "deadline": 60})
    draw = random.Random(0)
    faulty.faults = [draw.choice([200, 200, *FAULTS]) for _ in range(4 * CALLERS * SEARCHES)]
    done = asyncio.run(load(proxy.url, engine.index))
    right: dict[str, Any] = {}
    failed = dict.fromkeys((429, 502, 503), 0)
    for each in done:
        if each.answer is None:
            assert "sort" in each.body
            continue
        assert not any(f"The {kind} " in each.answer.text for kind in KINDS if kind != each.kind)
        answer = each.answer.json()
        if each.answer.status_code == 200:
            key = json.dumps([each.body, each.many])
            if key not in right:
                request = _request(engine.index, each.body, many=each.many)
                right[key] = found(whole.client.post(**request), many=each.many)["hits"]
            assert found(each.answer, many=each.many)["hits"] == right[key]
            sorted_ = "sort" in each.body
            assert each.answer.headers["x-twopass-status"] == ("passed" if sorted_ else "complete")
        else:
            failed[each.answer.status_code] += 1
            assert answer["status"] == each.answer.status_code
            assert answer["error"]["reason"]
    assert min(failed.values()) > 0
    assert len(right) > 10
    faulty.faults = []
    after = proxy.client.post(f"/{engine.index}/_search", json={"query": {"match_all": {}}})
    assert after.status_code == 200
    assert "twopass_active_requests 1.0" in proxy.client.get("/metrics").text


def test_an_api_key_goes_on_as_it_came(engine: Engine, faulty: FaultyProxy, proxy: Running) -> None:
    body = {"query": {"match": {"text": "cat"}}}
    for path in (f"/{engine.index}/_search", "/_msearch"):
        content = (
            json.dumps(body)
            if path.startswith(f"/{engine.index}")
            else (json.dumps({"index": engine.index}) + "\n" + json.dumps(body) + "\n")
        )
        headers = {"authorization": f"ApiKey {KEY}", "content-type": "application/json"}
        answer = proxy.client.post(path, content=content, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["x-twopass-status"] == "complete"
        assert {k.lower(): v for k, v in faulty.headers.items()}["authorization"] == f"ApiKey {KEY}"


def test_the_proxys_own_key_stands_in_for_the_callers(
    engine: Engine, faulty: FaultyProxy, start: Start
) -> None:
    own = start(faulty.url, credentials="own", api_key=KEY)
    answer = own.client.post(
        f"/{engine.index}/_search",
        json={"query": {"match": {"text": "cat"}}},
        headers={"authorization": "ApiKey of-the-caller"},
    )
    assert answer.headers["x-twopass-status"] == "complete"
    sent = [value for name, value in faulty.headers.items() if name.lower() == "authorization"]
    assert sent == [f"ApiKey {KEY}"]
