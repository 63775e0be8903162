"""The proxy in front of real servers: order, scores, pages, what is asked for and what is not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from twopass.pipeline.apps.settings import Settings
from twopass.pipeline.apps.sidecar.service import Sidecar

from ..running import Running, running
from .conftest import WordOverlap
from .engines import DOCUMENTS, Engine, Start, ids, scores

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


def test_what_a_cascade_passes_over_follows_what_it_read(engine: Engine) -> None:
    cascade = {"model": "said by the cheap scorer below", "keep": 5}
    settings = Settings.model_validate(
        {
            "proxy": {"url": engine.url, "rerank": {"window_size": 20, "deadline": 30}},
            "reranker": {"cascade": cascade},
        }
    )
    liked: dict[str, float] = {}

    class Cheap(WordOverlap):
        def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
            scores = super().predict(pairs)
            liked.update(zip((text for _, text in pairs), scores.tolist(), strict=True))
            return scores

    with running(Sidecar(settings, WordOverlap(), cheap=Cheap())) as proxy:
        found = ask(proxy, engine, {"query": QUERY, "size": 20})
    told = found["_twopass"]
    assert (told["status"], told["code"], told["scored"]) == ("complete", "", 5)
    order = [
        next(score for text, score in liked.items() if hit["_source"]["text"] in text)
        for hit in found["hits"]["hits"]
    ]
    assert len(order) == 20
    assert min(order[:5]) >= max(order[5:])
    assert order[5:] == sorted(order[5:], reverse=True)


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


@pytest.mark.parametrize(
    "body",
    [
        {"_source": False},
        {"_source": ["kind", "about.*"]},
        {"_source": {"excludes": ["text"]}},
        {"_source": False, "fields": ["kind", "title*"]},
        {"_source": False, "docvalue_fields": ["number"]},
        {"stored_fields": ["kind"]},
        {"script_fields": {}},
    ],
)
def test_hits_hold_what_was_asked_for(proxy: Running, engine: Engine, body: Any) -> None:
    body = {"query": QUERY, "size": 20} | body
    first, second = engine.search(body), ask(proxy, engine, body)
    assert second["_twopass"]["status"] == "complete"

    def bare(answer: dict[str, Any]) -> dict[str, Any]:
        hits = answer["hits"]["hits"]
        return {hit["_id"]: {k: v for k, v in hit.items() if k != "_score"} for hit in hits}

    assert bare(second) == bare(first)


def test_source_filters_of_the_query_string_hold(proxy: Running, engine: Engine) -> None:
    found = ask(proxy, engine, {"query": QUERY}, _source_includes="kind")
    assert found["_twopass"]["status"] == "complete"
    assert [set(hit) for hit in found["hits"]["hits"]] == [
        {"_index", "_id", "_score", "_source"}
    ] * 10
    assert all(set(hit["_source"]) == {"kind"} for hit in found["hits"]["hits"])


def test_details_tell_how_a_score_came_about(proxy: Running, engine: Engine) -> None:
    body = {
        "query": QUERY,
        "size": 25,
        "rescore": {"neural": {"details": True, "fusion": "reranker"}},
    }
    found, own = ask(proxy, engine, body), engine.search({"query": QUERY, "size": 25})
    ranks = {id: place + 1 for place, id in enumerate(ids(own))}
    for hit in found["hits"]["hits"][:20]:
        [details] = hit["fields"]["_twopass"]
        assert details["retrieval_rank"] == ranks[hit["_id"]]
        assert details["retrieval"] == pytest.approx(scores(own)[details["retrieval_rank"] - 1])
        assert hit["_score"] == pytest.approx(1 + details["rerank"])
    for hit, before in zip(found["hits"]["hits"][20:], scores(own)[20:], strict=True):
        assert "fields" not in hit
        assert hit["_score"] == pytest.approx(0.5 * before / (1 + before))


def test_a_threshold_leaves_out_what_is_below(proxy: Running, engine: Engine) -> None:
    neural = {"details": True, "min_score": 0.3}
    body = {"query": QUERY, "size": 60}
    kept = ask(proxy, engine, body | {"rescore": {"neural": neural}})
    whole = ask(proxy, engine, body | {"rescore": {"neural": {"details": True}}})
    reread = {hit["_id"]: hit["fields"]["_twopass"][0] for hit in whole["hits"]["hits"][:20]}
    assert ids(kept) == [id for id, details in reread.items() if details["rerank"] >= 0.3]
    assert 0 < len(ids(kept)) < 20


def test_a_query_can_be_named_where_the_body_has_none(proxy: Running, engine: Engine) -> None:
    neural = {
        "query": "owl in the barn",
        "fields": ["text"],
        "window_size": 60,
        "fusion": "reranker",
    }
    found = ask(proxy, engine, {"query": {"match_all": {}}, "rescore": {"neural": neural}})
    assert ids(found)[0] == "d48"
    headers = {"x-twopass-rescore": json.dumps(neural)}
    same = proxy.client.post(f"/{engine.index}/_search", json={}, headers=headers).json()
    assert ids(same) == ids(found)


def test_the_query_string_alone_is_a_search(proxy: Running, engine: Engine) -> None:
    answer = proxy.client.get(f"/{engine.index}/_search", params={"q": "text:owl", "size": 3})
    assert answer.json()["_twopass"]["status"] == "complete"
    assert len(answer.json()["hits"]["hits"]) == 3


def test_rescorers_of_the_server_run_first(proxy: Running, engine: Engine) -> None:
    own = {
        "query": {"rescore_query": {"match": {"kind": "owl"}}, "rescore_query_weight": 50},
        "window_size": 60,
    }
    body = {"query": QUERY, "size": 20}
    found = ask(proxy, engine, body | {"rescore": [own, {"neural": {}}]})
    assert set(ids(found)) == set(ids(engine.search(body | {"rescore": own})))
    assert found["_twopass"]["status"] == "complete"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": QUERY, "sort": [{"number": "desc"}]}, "sort"),
        ({"query": QUERY, "size": 0, "aggs": {"n": {"max": {"field": "number"}}}}, "size"),
        ({"query": QUERY, "collapse": {"field": "kind"}}, "collapse"),
        ({"query": {"match_all": {}}}, "query"),
        ({"query": QUERY, "from": 20}, "beyond"),
        ({"query": QUERY, "rescore": {"neural": False}}, "off"),
    ],
)
def test_what_cannot_be_reranked_passes_and_says_why(
    proxy: Running, engine: Engine, body: dict[str, Any], code: str
) -> None:
    answer = proxy.client.post(f"/{engine.index}/_search", json=body)
    own = engine.search({name: value for name, value in body.items() if name != "rescore"})
    assert answer.headers["x-twopass-status"] == "passed"
    assert answer.headers["x-twopass-reason"].startswith(f"{code}: ")
    assert answer.json() | {"took": 0} == own | {"took": 0}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/{index}/_search", b'{"query": {"nonsense": {}}}'),
        ("/{index}/_search", b'{"query": {"match": {"text": "owl"}}, "size": 20000}'),
        ("/{index}/_search", b'{"query": {"match": {"text": "owl"}}, "nonsense": 1}'),
        ("/{index}/_search", b'{"query": '),
        ("/{index}/_search?nonsense=1", b'{"query": {"match": {"text": "owl"}}}'),
        ("/twopass-proxy-none/_search", b'{"query": {"match": {"text": "owl"}}}'),
        ("/{index}/_msearch", b"nonsense\n"),
        ("/{index}/_msearch", b'{}\n{"query": {"nonsense": {}}}\n'),
    ],
)
def test_the_servers_errors_are_its_own(
    proxy: Running, engine: Engine, path: str, content: bytes
) -> None:
    path = path.format(index=engine.index)
    kind = "application/x-ndjson" if "_msearch" in path else "application/json"
    sent = {"content": content, "headers": {"content-type": kind}}
    here, there = proxy.client.post(path, **sent), engine.client.post(path, **sent)
    assert here.status_code == there.status_code

    def plain(answer: Any) -> Any:
        return {name: value for name, value in answer.items() if name != "took"}

    assert plain(here.json()) == plain(there.json())


def test_what_is_wrong_with_our_part_is_a_parsing_error(proxy: Running, engine: Engine) -> None:
    body = {"query": QUERY, "rescore": {"neural": {"fusion": "nonsense"}}}
    answer = proxy.client.post(f"/{engine.index}/_search", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "parsing_exception"
    assert "unknown fusion method 'nonsense'" in answer.json()["error"]["reason"]


def test_many_searches_are_each_what_they_are_alone(proxy: Running, engine: Engine) -> None:
    bodies: list[dict[str, Any]] = [
        {"query": QUERY},
        {"query": {"match": {"text": "owl sleeps"}}, "from": 3, "size": 4, "_source": False},
        {"query": QUERY, "sort": ["number"]},
        {"query": {"match": {"text": "owl"}}, "size": 20_000},
        {"query": {"match": {"text": "roof"}}, "rescore": {"neural": {"fusion": "rrf"}}},
        {"query": {"match": {"text": "roof"}}, "rescore": {"neural": False}},
    ]
    lines = [json.dumps(line) for body in bodies for line in ({"index": engine.index}, body)]
    sent = {"content": "\n".join(lines) + "\n", "headers": {"content-type": "application/x-ndjson"}}
    answer = proxy.client.post("/_msearch", **sent)
    assert answer.headers["x-twopass-status"] == "mixed"
    for body, found in zip(bodies, answer.json()["responses"], strict=True):
        alone = proxy.client.post(f"/{engine.index}/_search", json=body).json()
        if "error" in alone:
            assert found["error"]["type"] == alone["error"]["type"]
        else:
            assert found["hits"] == alone["hits"]
            assert ("_twopass" in found) is ("_twopass" in alone)


def test_packed_bodies_and_answers(proxy: Running, engine: Engine) -> None:
    body = gzip.compress(json.dumps({"query": QUERY, "size": 20}).encode())
    headers = {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "accept-encoding": "gzip",
    }
    answer = proxy.client.post(f"/{engine.index}/_search", content=body, headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["hits"] == ask(proxy, engine, {"query": QUERY, "size": 20})["hits"]


def test_what_is_not_search_is_refused(proxy: Running, engine: Engine) -> None:
    for method, path in [
        ("GET", f"/{engine.index}/_doc/d01"),
        ("DELETE", f"/{engine.index}"),
        ("POST", f"/{engine.index}/_delete_by_query"),
        ("GET", "/_cluster/health"),
        ("POST", "/_search/scroll"),
    ]:
        answer = proxy.client.request(method, path)
        assert answer.status_code == 403
        assert answer.json()["error"]["type"] == "forbidden_api_exception"
        assert "proxy.allow" in answer.json()["error"]["reason"]
    assert engine.search({})["hits"]["total"]["value"] == 60


def test_what_is_opened_passes_with_bodies_of_any_size(start: Start, engine: Engine) -> None:
    proxy = start(engine.url, allow=["_count", "_bulk"], max_body_bytes=1000)
    count = proxy.client.post(f"/{engine.index}/_count", json={"query": {"match": {"kind": "owl"}}})
    assert count.json()["count"] == 12
    line = '{"update":{"_id":"d00"}}\n{"doc":{"number":0}}\n'
    kind = {"content-type": "application/x-ndjson"}
    bulk = proxy.client.post(f"/{engine.index}/_bulk", content=line * 2_000, headers=kind)
    assert len(bulk.json()["items"]) == 2_000
    large = {"query": {"match": {"text": "owl " * 500}}}
    answer = proxy.client.post(f"/{engine.index}/_search", json=large)
    assert answer.headers["x-twopass-reason"].startswith("body: ")
    assert ids(answer.json()) == ids(engine.search(large))


def test_a_window_that_one_index_refuses_loses_nothing(start: Start, engine: Engine) -> None:
    proxy = start(engine.url, rerank={"window_size": 100})
    small = f"{engine.index}-small"
    body = {"settings": {"max_result_window": 50, "number_of_shards": 1}}
    engine.client.put(f"/{small}", json=body).raise_for_status()
    try:
        path = f"/{engine.index},{small}/_search"
        here = proxy.client.post(path, json={"query": QUERY})
        there = engine.client.post(path, json={"query": QUERY})
        assert here.headers["x-twopass-reason"].startswith("shards: ")
        assert here.json() | {"took": 0} == there.json() | {"took": 0}
        alone = proxy.client.post(f"/{small}/_search", json={"query": QUERY})
        assert alone.status_code == 200
        assert alone.headers["x-twopass-reason"].startswith("refused: ")
    finally:
        engine.client.delete(f"/{small}")


class Contrary(WordOverlap):
    """The opposite opinion."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return -super().predict(pairs)


def test_a_search_names_its_model_and_an_unknown_one_loses_nothing(engine: Engine) -> None:
    values = {
        "proxy": {"url": engine.url, "rerank": {"window_size": 20, "deadline": 30}},
        "serve": {"models": {"contrary": "not loaded here"}},
    }
    sidecar = Sidecar(
        Settings.model_validate(values), WordOverlap(), others={"contrary": Contrary()}
    )
    with running(sidecar) as proxy:
        found = {
            model: ask(
                proxy,
                engine,
                {
                    "query": QUERY,
                    "size": 20,
                    "rescore": {"neural": {"model": model, "fusion": "reranker"}},
                },
            )
            for model in ("twopass/default", "contrary", "third")
        }
    assert ids(found["twopass/default"])[0] == "d04"
    assert ids(found["contrary"])[-1] == "d04"
    assert ids(found["third"]) == ids(engine.search({"query": QUERY, "size": 20}))
    told = found["third"]["_twopass"]
    assert (told["status"], told["code"]) == ("failed", "model")
    assert "expected one of twopass/default, contrary, found 'third'" in told["reason"]
