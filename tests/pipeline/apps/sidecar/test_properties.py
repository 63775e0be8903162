"""Whatever comes in, no fault of the program comes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .dialects.test_dialects import DIALECTS
from .running import Running

_QUICK = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_FIELDS = (
    *("query", "texts", "documents", "input", "text_1", "text_2", "top_n", "rank_fields"),
    *("return_documents", "max_tokens_per_doc", "use_activation", "truncate", "raw_scores"),
)


@pytest.mark.parametrize("path", sorted({path for path, *_ in DIALECTS.values()} | {"/score"}))
@_QUICK
@given(body=_JSON | st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_any_json_is_answered(server: Running, path: str, body: Any) -> None:
    answer = server.client.post(path, json=body)
    assert answer.status_code < 500, answer.text
    assert answer.json() is not None


@pytest.mark.parametrize("name", DIALECTS)
@_QUICK
@given(
    query=st.text(min_size=1, max_size=20),
    documents=st.lists(st.text(max_size=60), min_size=1, max_size=6),
    top_n=st.none() | st.integers(1, 8),
)
def test_any_texts_are_ranked(
    server: Running, name: str, query: str, documents: list[str], top_n: int | None
) -> None:
    path, field, inside, score = DIALECTS[name]
    answer = server.client.post(path, json={"query": query, field: documents, "top_n": top_n})
    if answer.status_code != 200:  # a query that leaves no room for a document
        assert answer.status_code in (400, 422)
        assert "room for a document" in answer.text
        return
    results = answer.json()[inside] if inside else answer.json()
    assert len(results) == min(top_n or len(documents), len(documents))
    scores = [each[score] for each in results]
    assert scores == sorted(scores, reverse=True)
    assert len({each["index"] for each in results}) == len(results)
    by_text = {documents[each["index"]]: each[score] for each in results}
    assert all(by_text[documents[e["index"]]] == e[score] for e in results)  # equal texts, equally


def test_the_description_holds(server: Running) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_dict(server.client.get("/openapi.json").json())
    tried = 0
    for operation in schema.get_all_operations():
        case_of = operation.ok().as_strategy()

        @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=case_of)
        def hold(case: Any) -> None:
            nonlocal tried
            answer = case.call(base_url=server.url)
            tried += 1
            assert answer.status_code < 500, (case, answer.text)

        hold()
    assert tried > 50
