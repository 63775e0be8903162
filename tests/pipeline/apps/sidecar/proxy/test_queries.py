"""What a body asks, and what is made of it, as functions of JSON."""

from __future__ import annotations

from typing import Any

import pytest

from twopass.pipeline.apps.settings.serve import NeuralRescore, ProxySettings
from twopass.pipeline.apps.sidecar.proxy.exchange import target_of
from twopass.pipeline.apps.sidecar.proxy.obstacles import PassedOn
from twopass.pipeline.apps.sidecar.proxy.texts import QueryText, plain_text, query_text, text_of
from twopass.pipeline.apps.sidecar.proxy.window import (
    Search,
    Window,
    rescore_of_header,
    split_neural,
    window_of,
)
from twopass.pipeline.errors import SearchError

ON = NeuralRescore(enabled=True, window_size=50)
MATCH: dict[str, Any] = {"match": {"text": "fast cars"}}


def plan(body: dict[str, Any], rescore: NeuralRescore = ON, **params: str) -> Window | PassedOn:
    search = Search("cars", body, tuple(params.items()), rescore)
    return window_of(search, stable_pages=False)


@pytest.mark.parametrize(
    ("query", "text", "fields"),
    [
        ({"match": {"text": "fast cars"}}, "fast cars", ("text",)),
        ({"match": {"text": {"query": "fast cars", "operator": "and"}}}, "fast cars", ("text",)),
        ({"match_phrase": {"text": "fast cars"}}, "fast cars", ("text",)),
        ({"multi_match": {"query": "cars", "fields": ["a^3", "b.*"]}}, "cars", ("a", "b.*")),
        ({"multi_match": {"query": "cars"}}, "cars", ()),
        ({"combined_fields": {"query": "cars", "fields": ["a"]}}, "cars", ("a",)),
        (
            {"query_string": {"query": "a:(fast AND cars)^2", "default_field": "t"}},
            "fast cars",
            ("t",),
        ),
        ({"simple_query_string": {"query": '"fast cars" -red +new*'}}, "fast cars new", ()),
        ({"term": {"kind": "car"}}, "", ()),
        ({"match_all": {}}, "", ()),
        (None, "", ()),
        ("nonsense", "", ()),
        ({"match": "nonsense"}, "", ()),
    ],
)
def test_words_of_a_clause(query: Any, text: str, fields: tuple[str, ...]) -> None:
    assert query_text(query) == QueryText(text, fields)


def test_words_deep_inside() -> None:
    inner = {"function_score": {"query": {"nested": {"path": "p", "query": MATCH}}}}
    query = {
        "bool": {
            "must": {"dis_max": {"queries": [inner, {"match": {"title": "fast cars"}}]}},
            "should": [{"match": {"color": "red"}}],
            "filter": {"match": {"shop": "the one in town"}},
            "must_not": [{"match": {"text": "old"}}],
        }
    }
    assert query_text(query) == QueryText("fast cars red", ("text", "title", "color"))


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("title:fast AND NOT text:slow OR cars", "fast cars"),
        ("year:[2010 TO 2020] cars~2 -red !blue", "2010 2020 cars"),
        ("well-known e-mail", "well-known e-mail"),
        ("https://example.org/a", "https://example.org/a"),
    ],
)
def test_words_out_of_syntax(syntax: str, text: str) -> None:
    assert plain_text(syntax) == text


@pytest.mark.parametrize(
    ("body", "params", "code"),
    [
        ({"sort": ["number"]}, {}, "sort"),
        ({"sort": [{"_score": "asc"}]}, {}, "sort"),
        ({}, {"sort": "number:asc,_score"}, "sort"),
        ({"size": 0}, {}, "size"),
        ({}, {"size": "0"}, "size"),
        ({"collapse": {"field": "kind"}}, {}, "collapse"),
        ({}, {"scroll": "1m"}, "scroll"),
        ({"search_after": [1], "sort": ["_score"]}, {}, "search_after"),
        ({"pit": {"id": "x"}, "search_after": [1]}, {}, "search_after"),
        ({"retriever": {}}, {}, "retriever"),
        ({"stored_fields": "_none_"}, {}, "stored_fields"),
        ({}, {"filter_path": "hits"}, "filter_path"),
        ({}, {"format": "yaml"}, "format"),
        ({"from": 50}, {}, "beyond"),
        ({"from": -1}, {}, "paging"),
        ({"size": "many"}, {}, "paging"),
        ({"query": {"match_all": {}}}, {}, "query"),
        ({"query": None, "knn": {"field": "v"}}, {}, "query"),
    ],
)
def test_what_cannot_be_reranked(body: dict[str, Any], params: dict[str, str], code: str) -> None:
    found = plan({"query": MATCH} | body, **params)
    assert isinstance(found, PassedOn)
    assert found.code == code


@pytest.mark.parametrize(
    "sort",
    ["_score", ["_score"], {"_score": "desc"}, [{"_score": {"order": "desc"}}, {"number": "asc"}]],
)
def test_a_list_by_score_can_be_reranked(sort: Any) -> None:
    assert isinstance(plan({"query": MATCH, "sort": sort}), Window)


def test_the_window_is_asked_for_from_its_start() -> None:
    found = plan({"query": MATCH, "from": 20, "size": 5, "aggs": {}})
    assert isinstance(found, Window)
    assert found.body == {"query": MATCH, "from": 0, "size": 50, "aggs": {}}
    assert (found.start, found.size, found.depth) == (20, 5, 50)
    beyond = plan({"query": MATCH}, **{"from": "45", "size": "20"})
    assert isinstance(beyond, Window)
    assert (beyond.body["size"], beyond.params) == (65, ())


def test_texts_are_asked_for_beside_what_the_caller_sees() -> None:
    whole = plan({"query": MATCH})
    assert isinstance(whole, Window)
    assert "fields" not in whole.body
    cut = plan({"query": MATCH, "_source": ["id"], "fields": [{"field": "year"}]})
    assert isinstance(cut, Window)
    assert cut.body["_source"] == ["id"]
    assert cut.body["fields"] == [{"field": "year"}, "text"]
    assert cut.is_extra("text", ["t"])
    assert not cut.is_extra("year", [7])
    twice = plan({"query": MATCH, "_source": False, "fields": ["text"]})
    assert isinstance(twice, Window)
    assert not twice.is_extra("text", ["t"])


def test_pages_of_a_search_ask_the_same_copies() -> None:
    def preference(body: dict[str, Any]) -> str:
        found = window_of(Search("cars", body, (), ON))
        assert isinstance(found, Window)
        return dict(found.params)["preference"]

    first = {"query": MATCH}
    assert preference(first) == preference(first | {"from": 10})
    assert preference(first) != preference({"query": {"match": {"text": "slow cars"}}})
    own = window_of(Search("cars", first, (("preference", "mine"),), ON))
    assert isinstance(own, Window)
    assert own.params == (("preference", "mine"),)


def test_our_part_of_a_body_is_taken_out() -> None:
    own = {"query": {"rescore_query": MATCH}, "window_size": 10}
    neural = {"neural": {"query": "q", "fusion": "rrf", "deadline": "500ms"}, "window_size": 30}
    body, rescore = split_neural({"query": MATCH, "rescore": [own, neural]})
    assert body == {"query": MATCH, "rescore": [own]}
    assert (rescore.query, rescore.window_size, rescore.deadline) == ("q", 30, 0.5)
    assert rescore.fusion is not None
    assert rescore.fusion.method == "rrf"
    assert split_neural({"rescore": {"neural": False}}) == ({}, NeuralRescore(enabled=False))
    assert split_neural({"rescore": own}) == ({"rescore": own}, NeuralRescore())


@pytest.mark.parametrize(
    ("rescore", "message"),
    [
        ({"neural": {"fusion": "rff"}}, "rescore.neural.fusion: .*unknown fusion method 'rff'"),
        ({"neural": {"window": 3}}, "rescore.neural.window: Extra"),
        ({"neural": {"window_size": 0}}, "window_size"),
        ({"neural": {"deadline": "soon"}}, "deadline"),
        ({"neural": []}, r"expected an object, true or false, found \[\]"),
        ([{"neural": {}}, {"query": {}}], "after all others"),
        ({"neural": {}, "query": {}}, "beside 'neural', found"),
    ],
)
def test_what_is_wrong_with_our_part_is_said(rescore: Any, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        split_neural({"rescore": rescore})


def test_the_body_counts_more_than_the_header_than_the_index_than_all() -> None:
    settings = ProxySettings.model_validate(
        {
            "url": "http://localhost:9200/",
            "rerank": {"window_size": 30, "query": "all"},
            "indices": {
                "cars-*": {"fields": ["text"], "query": "index"},
                "off": {"enabled": False},
            },
        }
    )
    default = settings.default("cars-1")
    assert (default.window_size, default.query, default.fields) == (30, "index", ("text",))
    assert default.enabled
    assert default.deadline == 2.0
    assert not settings.default("off").enabled
    header = rescore_of_header('{"query": "header"}')
    assert header.over(default).query == "header"
    assert NeuralRescore(query="body").over(header.over(default)).query == "body"
    assert rescore_of_header("false").over(default).enabled is False
    with pytest.raises(SearchError, match="x-twopass-rescore: expected true, false or a JSON"):
        rescore_of_header("yes")


def test_settings_refuse_what_cannot_be_meant() -> None:
    for wrong in (
        {"url": "localhost:9200"},
        {"url": "http://elastic:secret@localhost:9200"},
        {"credentials": "own"},
        {"indices": {"a": {"window": 1}}},
    ):
        with pytest.raises(ValueError, match=r"expected|Extra"):
            ProxySettings.model_validate(wrong)


SOURCE = {"title": "A", "text": ["one", "two"], "in": {"deep": "three"}, "n": 3, "copy": "A"}


@pytest.mark.parametrize(
    ("fields", "strict", "text"),
    [
        (["title", "text"], True, "A\none\ntwo"),
        (["text", "title"], True, "one\ntwo\nA"),
        (["title.english"], True, "A"),
        (["in"], True, "three"),
        (["in.*", "copy"], True, "three\nA"),
        (["gone"], True, ""),
        (["gone"], False, "A\none\ntwo\nthree"),
        ([], False, "A\none\ntwo\nthree"),
    ],
)
def test_texts_of_a_source(fields: list[str], strict: bool, text: str) -> None:
    assert text_of({"_source": SOURCE}, fields, strict=strict) == text


def test_texts_of_fetched_fields() -> None:
    hit = {"_source": {"id": "7"}, "fields": {"text": ["one"], "p": [{"q": ["two"]}]}}
    assert text_of(hit, ["text"], strict=True) == "one"
    assert text_of(hit, ["p.q"], strict=True) == "two"


def test_a_text_that_is_no_unicode_can_be_read() -> None:
    text_of({"_source": {"text": "a\ud800b"}}, ["text"], strict=True).encode()


@pytest.mark.parametrize(
    ("path", "index", "api", "written"),
    [
        ("/cars/_search", "cars", "_search", "/cars/_search"),
        ("/_search", "", "_search", "/_search"),
        ("/_all/_search", "_all", "_search", "/_all/_search"),
        ("/%3Ccars-%7Bnow%2Fd%7D%3E/_search", "<cars-{now/d}>", "_search", None),
        ("/a,b/_msearch/", "a,b", "_msearch", "/a%2Cb/_msearch"),
        ("/cars/%5Fsearch", "cars", "_search", "/cars/_search"),
        ("/_search/scroll", "", "_search/scroll", "/_search/scroll"),
        ("/cars/_doc/_search", "cars", "_doc/_search", "/cars/_doc/_search"),
        ("/cars", "cars", "{index}", "/cars"),
        ("/", "", "/", "/"),
    ],
)
def test_paths_are_read_as_the_server_does(
    path: str, index: str, api: str, written: str | None
) -> None:
    target = target_of(path)
    assert (target.index, target.api) == (index, api)
    assert target.path == (path if written is None else written)


@pytest.mark.parametrize(
    ("method", "path", "allow", "is_open"),
    [
        ("POST", "/cars/_search", [], True),
        ("PUT", "/cars/_search", ["_doc"], False),
        ("POST", "/_search/scroll", [], False),
        ("POST", "/_search/scroll", ["_search/scroll"], True),
        ("GET", "/cars/_doc/1", ["GET _doc"], True),
        ("PUT", "/cars/_doc/1", ["GET _doc"], False),
        ("GET", "/cars/_doc/_search", ["_count"], False),
        ("POST", "/cars/_delete_by_query", ["_count", "GET _doc"], False),
        ("GET", "/cars/_count", ["_count"], True),
        ("GET", "/", ["GET /"], True),
        ("DELETE", "/cars", ["GET {index}"], False),
        ("DELETE", "/cars", ["*"], True),
        ("GET", "/cars/_doc/../../_cluster/settings", ["GET _doc"], False),
        ("GET", "/cars/_doc/..%2F..", ["GET _doc"], True),  # one part: a document of that name
    ],
)
def test_what_is_open(method: str, path: str, allow: list[str], is_open: bool) -> None:
    assert target_of(path).is_open(method, allow) is is_open
