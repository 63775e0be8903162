"""The proxy in front of real servers: order, scores, pages, what is asked for and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from ..running import Running
from .engines import DOCUMENTS, Engine, ids, scores

pytestmark = pytest.mark.server

QUERY = {"multi_match": {"query": "cat hunts mice near river", "fields": ["title^2", "text"]}}


def ask(proxy: Running, engine: Engine, body: Any, **params: Any) -> dict[str, Any]:
    answer = proxy.client.post(f"/{engine.index}/_search", json=body, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_window_is_reranked_and_keeps_the_shape(proxy: Running, engine: Engine) -> None:
    body = {"query": QUERY, "size": 20, "aggs": {"kinds": {"terms": {"field": "kind"}}}}
    first, second = engine.search(body), ask(proxy, engine, body)
    assert set(ids(first)) == set(ids(second))
    assert ids(first) != ids(second)
    assert ids(second)[0] == "d04"  # the document that says it all
    assert second["hits"]["total"] == first["hits"]["total"]
    assert second["aggregations"] == first["aggregations"]
    assert second["hits"]["max_score"] == scores(second)[0]
    sources = {hit["_id"]: hit["_source"] for hit in second["hits"]["hits"]}
    assert all(sources[id] == DOCUMENTS[id] for id in sources)
    assert second["_twopass"]["status"] == "complete"
    assert second["_twopass"]["scored"] == 20


def test_pages_are_parts_of_one_list(proxy: Running, engine: Engine) -> None:
    body = {"query": QUERY, "track_total_hits": True}
    whole = ask(proxy, engine, body | {"size": 60})
    pages = [ask(proxy, engine, body | {"from": start, "size": 7}) for start in range(0, 63, 7)]
    assert [id for page in pages for id in ids(page)] == ids(whole)
    assert len(set(ids(whole))) == whole["hits"]["total"]["value"]
    behind = engine.search(body | {"size": 60})
    assert ids(whole)[20:] == ids(behind)[20:]


def test_scores_fall_and_are_never_negative(proxy: Running, engine: Engine) -> None:
    for method in ("reranker", "rrf", "weighted", {"method": "log-odds", "calibration": "sigmoid"}):
        body = {"query": QUERY, "size": 60, "rescore": {"neural": {"fusion": method}}}
        found = scores(ask(proxy, engine, body))
        assert found == sorted(found, reverse=True)
        assert min(found) >= 0
