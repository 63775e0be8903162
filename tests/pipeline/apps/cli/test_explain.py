from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run


def test_it_adds_up_to_what_a_search_gives(run: Run, index: Path) -> None:
    query = "the cat and the owl"
    found = json.loads(run("search", "--index", index, "--no-rerank", "--json", query).out)
    for hit in found["hits"]:
        done = run("explain", "--index", index, "--json", query, hit["id"])
        assert (done.status, done.err) == (0, "")
        explained = json.loads(done.out)
        assert explained["score"] == pytest.approx(hit["retrieval"], rel=1e-6)
        contributions = [leaf["contribution"] for leaf in explained["leaves"]]
        assert sum(contributions) == pytest.approx(explained["score"])
        assert [leaf["leaf"] for leaf in explained["leaves"]] == ["cat", "owl"]


def test_a_table(run: Run, index: Path) -> None:
    head, *_, terms, cat = run("explain", "--index", index, "a cat", "cat").out.splitlines()
    assert head.startswith("document 'cat' scores ")
    assert terms.split()[-5:] == ["df", "idf", "tf", "impact", "contribution"]
    assert cat.split()[:3] == ["cat", "1", "3"]


def test_syntax(run: Run, index: Path) -> None:
    query = '+owl "the cat"^2'
    plain = run("explain", "--index", index, query, "cat").out
    assert "scores" in plain.splitlines()[0]
    done = run("explain", "--index", index, "--syntax", "query", query, "cat")
    assert done.out.splitlines()[0] == (
        "document 'cat' does not match: it lacks owl, which is required"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("index", "cat", "whale"), "index: expected the id of a document, found 'whale'"),
        (("absent", "cat", "cat"), "absent"),
        (("index", "--syntax", "query", '"cat', "cat"), "the closing quote of character 1"),
        (("index", "--syntax", "sql", "cat", "cat"), "invalid choice: 'sql'"),
        (("index", "cat"), "required: ID"),
    ],
)
@pytest.mark.usefixtures("index")
def test_mistakes(run: Run, arguments: tuple[str, ...], message: str) -> None:
    done = run("explain", "--index", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
