"""What filters mean, how they are checked, and how they are written as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from twopass.retriever.errors import QueryError
from twopass.retriever.filters import (
    And,
    Equal,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    matches,
    parse_filter,
)

METADATA = {
    "lang": "en",
    "year": 2000,
    "score": 2.5,
    "open": True,
    "tags": ["a", "b", 7, None],
    "nothing": None,
    "empty": [],
    "nan": float("nan"),
    "author": {"name": "Ada", "born": 1815},
    "reviews": [{"stars": 5}, {"stars": 2}],
    "big": 2**53 + 1,
}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Equal("lang", "en"), True),
        (Equal("lang", "EN"), False),
        (Equal("year", 2000), True),
        (Equal("year", 2000.0), True),
        (Equal("year", "2000"), False),
        (Equal("open", True), True),
        (Equal("open", 1), False),
        (Equal("score", 2.5), True),
        (Equal("tags", "b"), True),
        (Equal("tags", 7), True),
        (Equal("tags", "c"), False),
        (Equal("author.name", "Ada"), True),
        (Equal("reviews.stars", 2), True),
        (Equal("big", 2**53 + 1), True),
        (Equal("big", float(2**53)), False),
        (In("year", (1999, 2000)), True),
        (In("year", ()), False),
        (In("lang", ("de", "fr")), False),
        (Range("year", gte=2000), True),
        (Range("year", gt=2000), False),
        (Range("year", gt=1999.5, lt=2000.5), True),
        (Range("lang", gte="a", lt="f"), True),
        (Range("lang", gte=1), False),
        (Range("open", gte=0), False),
        (Range("big", gt=2**53), True),
        (Exists("lang"), True),
        (Exists("nothing"), False),
        (Exists("empty"), False),
        (Exists("nan"), False),
        (Exists("author"), False),
        (Exists("author.born"), True),
        (Exists("absent"), False),
        (Not(Equal("absent", 1)), True),
        (And(()), True),
        (Or(()), False),
        (And((Equal("lang", "en"), Range("year", lt=2000))), False),
        (Or((Equal("lang", "de"), Range("year", lte=2000))), True),
    ],
)
def test_meaning(filter: Filter, expected: bool) -> None:
    assert matches(filter, METADATA) is expected


def test_json_forms() -> None:
    spec = {
        "and": [
            {"term": {"lang": "en"}},
            {"terms": {"year": [1999, 2000]}},
            {"or": [{"range": {"score": {"gte": 1, "lt": 3}}}, {"exists": {"field": "x"}}]},
            {"not": {"term": {"open": False}}},
        ]
    }
    expected = And(
        (
            Equal("lang", "en"),
            In("year", (1999, 2000)),
            Or((Range("score", gte=1, lt=3), Exists("x"))),
            Not(Equal("open", False)),
        )
    )
    assert parse_filter(spec) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lang:en", "filter: expected an object with one key"),
        ({}, "filter: expected an object with one key"),
        ({"term": {"a": 1}, "terms": {}}, "one key"),
        ({"match": {"a": 1}}, "filter: expected one of term.*'match'"),
        ({"term": {"a": None}}, r"filter\.term: .*'a'.*found None"),
        ({"term": {"a": [1]}}, r"filter\.term: "),
        ({"term": {"a": float("nan")}}, "found nan"),
        ({"term": {"a": 1, "b": 2}}, "one field"),
        ({"terms": {"a": "x"}}, r"filter\.terms\.a: expected a list"),
        ({"range": {"a": {}}}, "expected a bound"),
        ({"range": {"a": {"from": 1}}}, r"filter\.range\.a: .*'from'"),
        ({"range": {"a": {"gt": 1, "lt": "x"}}}, "one kind"),
        ({"range": {"a": {"gt": True}}}, "numbers or strings"),
        ({"exists": {"name": "a"}}, "NAME"),
        ({"exists": {"field": ""}}, "name of a field"),
        ({"and": {"term": {"a": 1}}}, r"filter\.and: expected a list"),
        ({"or": [{"term": {"a": 1}}, {"not": {"nor": 1}}]}, r"filter\.or\[1\]\.not: "),
    ],
)
def test_what_cannot_be_understood_is_named(spec: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse_filter(spec)


def test_depth_is_limited() -> None:
    spec: dict[str, Any] = {"exists": {"field": "a"}}
    for _ in range(40):
        spec = {"not": spec}
    assert matches(parse_filter(spec), {"a": 1})
    for _ in range(10_000):
        spec = {"not": spec}
    with pytest.raises(QueryError, match="50 deep"):
        parse_filter(spec)


def test_values_are_checked() -> None:
    with pytest.raises(QueryError, match="tuple"):
        In("a", ["x"])  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="filters in a tuple"):
        And((Equal("a", 1), "b"))  # type: ignore[arg-type]
