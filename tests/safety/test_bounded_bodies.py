"""What is too much, or wrong throughout, is refused before all of it is looked at."""

from __future__ import annotations

import json
import tracemalloc
from time import perf_counter
from typing import Any

import pytest

from twopass.pipeline.apps.settings.serve import ServeSettings
from twopass.pipeline.apps.sidecar.dialects.body import check_documents
from twopass.pipeline.apps.sidecar.dialects.register import _SERVED
from twopass.pipeline.apps.sidecar.problems import ProblemError
from twopass.pipeline.apps.sidecar.proxy.window import rescore_of_header, split_neural
from twopass.pipeline.apps.sidecar.search import SearchBody
from twopass.pipeline.errors import SearchError
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import parse_filter

LISTS = {name for served in _SERVED.values() for each in served for name in each.body.lists}


def _cost(call: Any) -> tuple[float, int]:
    """Return seconds without tracing, and the most bytes with it."""
    started = perf_counter()
    call()
    seconds = perf_counter() - started
    tracemalloc.start()
    try:
        call()
        return seconds, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["documents", "texts", "input", "queries", "items"])
@pytest.mark.parametrize(("count", "kind"), [(500_000, "too_large"), (1_000, "invalid")])
def test_a_megabyte_of_zeros_costs_little(name: str, count: int, kind: str) -> None:
    given = {"query": "a", name: [0] * count}

    def refuse() -> None:
        with pytest.raises(ProblemError) as error:
            check_documents(given, LISTS, ServeSettings())
        assert error.value.problem.kind == kind

    seconds, memory = _cost(refuse)
    assert seconds < 0.05
    assert memory < 1_000_000


def test_fields_to_read_are_few() -> None:
    given = {"query": "a", "documents": [{"text": "a"}], "rank_fields": ["text"] * 100}
    check_documents(given, LISTS, ServeSettings())
    with pytest.raises(ProblemError, match="at most 100, found 101"):
        check_documents({**given, "rank_fields": ["text"] * 101}, LISTS, ServeSettings())


def test_documents_as_they_should_be_are_let_through() -> None:
    check_documents({"documents": ["a", {"text": "b"}] * 500}, LISTS, ServeSettings())
    check_documents({"queries": "a", "documents": {"text": "b"}}, LISTS, ServeSettings())
    check_documents([1], LISTS, ServeSettings())


def test_a_search_of_many_names_is_one_finding() -> None:
    given = {"query": "a", **{f"x{i}": 0 for i in range(100_000)}}
    with pytest.raises(ValueError, match="at most 100 names, found 100001"):
        SearchBody.model_validate(given)


@pytest.mark.parametrize("header", ["[" * 60_000, '{"a":' * 10_000, "[" * 500 + "]" * 500])
def test_a_nested_header_is_refused(header: str) -> None:
    with pytest.raises(SearchError):
        rescore_of_header(header)


def test_a_rescorer_of_many_names_or_wrong_fields_is_one_finding() -> None:
    neural: dict[str, Any] = {f"x{i}": 0 for i in range(100_000)}
    with pytest.raises(SearchError, match="at most 100 names, found 100000"):
        split_neural({"rescore": {"neural": neural}})
    with pytest.raises(SearchError, match="expected names of fields, found int") as error:
        rescore_of_header(json.dumps({"fields": [0] * 10_000}))
    assert len(str(error.value)) < 200


def test_a_value_nested_deeply_is_refused() -> None:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(QueryError, match="nested too deeply"):
        parse_filter({"term": {"a": value}})
    while value:  # freed level by level
        value = value[0]
