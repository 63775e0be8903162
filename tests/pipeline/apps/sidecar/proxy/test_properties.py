"""Any valid search: unchanged without reranking, and with it the same documents in the window."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..running import Running
from .engines import DOCUMENTS, Engine, ids, scores

pytestmark = pytest.mark.server

WORDS = sorted({word.strip(".") for doc in DOCUMENTS.values() for word in doc["text"].split()})
FIELDS = ["title", "text", "about.place", "about.*"]
KINDS = ["cat", "dog", "fox", "hen", "owl"]

text = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
fields = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True)
leaf = st.one_of(
    st.tuples(st.sampled_from(["title", "text"]), text).map(lambda t: {"match": {t[0]: t[1]}}),
    st.tuples(fields, text).map(lambda t: {"multi_match": {"fields": t[0], "query": t[1]}}),
    st.tuples(fields, text).map(lambda t: {"simple_query_string": {"fields": t[0], "query": t[1]}}),
    text.map(lambda t: {"query_string": {"query": t}}),
)
narrow = st.one_of(
    st.sampled_from(KINDS).map(lambda kind: {"term": {"kind": kind}}),
    st.integers(0, 60).map(lambda number: {"range": {"number": {"gte": number}}}),
    st.just({"match_all": {}}),
)
query = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"must": st.lists(inner, min_size=1, max_size=2)},
            optional={"should": inner, "filter": narrow, "must_not": narrow},
        ).map(lambda content: {"bool": content}),
        st.lists(inner, min_size=1, max_size=2).map(lambda q: {"dis_max": {"queries": q}}),
        inner.map(lambda q: {"function_score": {"query": q, "boost": 2}}),
        inner.map(lambda q: {"constant_score": {"filter": q}}),
    ),
    max_leaves=4,
)
shown = st.fixed_dictionaries(
    {"query": query},
    optional={
        "from": st.integers(0, 30),
        "size": st.integers(0, 30),
        "_source": st.sampled_from([True, False, ["kind"], {"excludes": ["text"]}, "about.*"]),
        "fields": st.lists(st.sampled_from(["kind", "title", "title.*", "number"]), max_size=2),
        "docvalue_fields": st.just([{"field": "number"}]),
        "sort": st.sampled_from([["_score"], ["_score", {"number": "asc"}], [{"number": "desc"}]]),
        "aggs": st.just({"kinds": {"terms": {"field": "kind"}}}),
        "highlight": st.just({"fields": {"text": {}}}),
        "explain": st.booleans(),
        "version": st.booleans(),
        "track_total_hits": st.sampled_from([True, False, 5]),
        "min_score": st.sampled_from([0.0, 0.5, 1.5]),
        "post_filter": narrow,
        "suggest": st.just({"s": {"text": "owll", "term": {"field": "text"}}}),
    },
)
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("took", "_twopass")}


@FEW
@given(body=shown)
def test_without_reranking_the_answer_is_the_servers(
    proxy: Running, engine: Engine, body: dict[str, Any]
) -> None:
    headers = {"x-twopass-rescore": "false"}
    answer = proxy.client.post(f"/{engine.index}/_search", json=body, headers=headers)
    assert without_times(answer.json()) == without_times(engine.search(body))
    assert "_twopass" not in answer.json()


@FEW
@given(body=shown)
def test_with_reranking_the_window_holds_the_same_hits(
    proxy: Running, engine: Engine, body: dict[str, Any]
) -> None:
    window = 20
    page = {"from": 0, "size": max(window, body.get("from", 0) + body.get("size", 10))}
    whole = {**body, **page}
    answer = proxy.client.post(f"/{engine.index}/_search", json=whole)
    found, own = answer.json(), engine.search(whole)
    if answer.headers["x-twopass-status"] == "passed":
        assert without_times(found) == without_times(own)
        return
    assert found["_twopass"]["status"] in ("complete", "skipped")
    for part in (slice(0, window), slice(window, None)):
        assert hits_of(found, part) == hits_of(own, part)
    rest = [{**without_times(each), "hits": {**each["hits"], "hits": []}} for each in (found, own)]
    for each in rest:
        del each["hits"]["max_score"]
    assert rest[0] == rest[1]
    assert scores(found) == sorted(scores(found), reverse=True)
    cut = proxy.client.post(f"/{engine.index}/_search", json=body).json()
    start, size = body.get("from", 0), body.get("size", 10)
    if size and start < window:
        assert ids(cut) == ids(found)[start : start + size]
        assert scores(cut) == scores(found)[start : start + size]


def hits_of(answer: dict[str, Any], part: slice) -> dict[str, Any]:
    hits = answer["hits"]["hits"][part]
    return {hit["_id"]: {k: v for k, v in hit.items() if k != "_score"} for hit in hits}
