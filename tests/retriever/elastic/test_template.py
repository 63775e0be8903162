from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.retriever.elastic import QueryTemplate
from twopass.retriever.errors import QueryError

NESTED = {"bool": {"should": [{"match": {"a": "{query}"}}, {"prefix": {"b": "x-{query}-{query}"}}]}}


@given(st.text())
def test_any_text_stays_a_text(query: str) -> None:
    [first, second] = QueryTemplate(json.dumps(NESTED)).fill(query)["bool"]["should"]
    assert first == {"match": {"a": query}}
    assert second == {"prefix": {"b": f"x-{query}-{query}"}}


def test_what_looks_like_json_or_a_place_is_neither() -> None:
    template = QueryTemplate({"match": {"a": {"query": "{query}", "boost": 2.5}}})
    for query in ('"}, "match_all": {}', "{query}", "{}", "\\", "\n"):
        assert template.fill(query) == {"match": {"a": {"query": query, "boost": 2.5}}}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{", "expected JSON, found '{'"),
        ('["{query}"]', "expected one query"),
        ("{}", "expected one query"),
        ({"match": {"a": "{query}"}, "term": {"b": 1}}, "expected one query"),
        ({"query": {"match": {"a": "{query}"}}}, "give what stands under 'query' alone"),
        ({"match": {"a": "query"}}, "'{query}' in one of its strings"),
        ({"match": {"{query}": "a"}}, "'{query}' in one of its strings"),
        ({"match": {"a": {1, 2}}}, "expected JSON"),
    ],
)
def test_mistakes_are_told_at_once(template: Any, message: str) -> None:
    with pytest.raises(QueryError, match="template: ") as caught:
        QueryTemplate(template)
    assert message in str(caught.value)
