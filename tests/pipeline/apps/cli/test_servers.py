"""The commands with a real Elasticsearch and a real OpenSearch."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Run

pytestmark = pytest.mark.server

# The standard analyser has no stems; there is no english one in the Elasticsearch of the tests.
ANALYZERS = {"elasticsearch": "standard", "opensearch": "english"}
QUERIES = ("the cat", "owls at night", "a mouse in the garden", "whale")


@dataclass(frozen=True)
class Moved:
    """An index that was exported."""

    engine: str
    url: str
    name: str

    @property
    def there(self) -> tuple[str, ...]:
        """Arguments that say where it is."""
        return ("--server", self.url, "--name", self.name, "--engine", self.engine)

    def settings(self, **changed: str) -> list[str]:
        """Arguments that make it the first stage."""
        values = {"kind": self.engine, "url": self.url, "index": self.name} | changed
        return [f"--set=retriever.{name}={value}" for name, value in values.items()]


@pytest.fixture(params=ANALYZERS)
def moved(
    run: Run, corpus: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Moved]:
    engine = request.param
    url = request.getfixturevalue(f"{engine}_url")
    here = tmp_path / "index"
    analyzer = ("--analyzer", ANALYZERS[engine])
    assert run("index", corpus, "--out", here, *analyzer).status == 0
    moved = Moved(engine, url, f"test-{uuid4().hex}")
    done = run("export", "--index", here, *moved.there)
    assert (done.status, done.err) == (0, f"{url}: 4 documents in {moved.name}\n")
    yield moved
    for index in asked(f"{url}/_cat/indices/{moved.name}*?format=json"):
        urllib.request.urlopen(
            urllib.request.Request(f"{url}/{index['index']}", method="DELETE")
        ).close()


def asked(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def found(run: Run, *arguments: str) -> list[str]:
    """Search without reranking; the ids, best first."""
    done = run("search", "--no-rerank", "--json", *arguments)
    assert (done.status, done.err) == (0, "")
    return [hit["id"] for hit in json.loads(done.out)["hits"]]


def test_both_find_the_same(run: Run, moved: Moved) -> None:
    for query in QUERIES:
        # Lengths of so few words are exact on the server too.
        assert found(run, query, *moved.settings()) == found(run, query, "--index", "index")


def test_filters_reach_the_server(run: Run, moved: Moved) -> None:
    recent = ("--filter", '{"range": {"year": {"gte": 2005}}}', "cat")
    there = found(run, *recent, *moved.settings())
    assert there == found(run, *recent, "--index", "index")
    assert set(there) == {"dog", "mouse"}


def test_both_stages(run: Run, moved: Moved, model: Path) -> None:
    done = run("search", *moved.settings(), "--model", model, "the cat")
    assert (done.status, done.err) == (0, "")
    header, *hits = done.out.splitlines()
    assert header.split()[2:5] == ["BM25", "rerank", "fused"]
    assert {hit.split()[5] for hit in hits} >= {"cat", "dog", "mouse"}


def test_there_and_back(run: Run, moved: Moved) -> None:
    analyzer = ("--analyzer", ANALYZERS[moved.engine])
    done = run("import", *moved.there, "--out", "back", *analyzer)
    assert (done.status, done.err) == (0, "back: 4 documents\n")
    before, after = (json.loads(run("info", each, "--json").out) for each in ("index", "back"))
    for name in ("documents", "terms", "analyzer", "scoring"):
        assert after[name] == before[name], name
    assert run("info", "back", "--verify").status == 0
    for query in QUERIES:
        assert found(run, query, "--index", "back") == found(run, query, "--index", "index")


def test_mistakes_are_one_line(run: Run, moved: Moved) -> None:
    nowhere = "http://127.0.0.1:9"
    absent = f"{moved.name}-absent"
    for arguments, message in [
        (["search", "cat", "--no-rerank", *moved.settings(index=absent)], "no such index"),
        (["search", "cat", "--no-rerank", *moved.settings(url=nowhere)], "did not answer"),
        (["import", *moved.there[:2], *there(absent, moved), "--out", "new"], "no such index"),
        (["import", "--server", nowhere, *there("n", moved), "--out", "new"], "did not answer"),
        (["export", "--index", "index", *moved.there], "has an index"),
        (["export", "--index", "absent", *moved.there], "absent"),
    ]:
        done = run(*arguments)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
        assert message in done.err
        assert not Path("new").exists()


def there(name: str, moved: Moved) -> tuple[str, ...]:
    return ("--name", name, "--engine", moved.engine)


def test_an_alias_moves_to_a_new_index(run: Run, corpus: Path, moved: Moved) -> None:
    alias = f"{moved.name}-alias"
    there = ("--server", moved.url, "--engine", moved.engine, "--alias", alias)
    analyzer = ("--analyzer", ANALYZERS[moved.engine])
    first = run("export", "--index", "index", *there, "--shards", 2, "--replicas", 1)
    assert (first.status, first.out) == (0, "")
    assert f"4 documents in {alias}-20" in first.err
    assert f", which {alias} stands for now\n" in first.err
    (old,) = asked(f"{moved.url}/{alias}/_alias")
    settings = asked(f"{moved.url}/{old}/_settings")[old]["settings"]["index"]
    assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("2", "1")
    second = run(
        *("export", "--corpus", corpus, *there, *analyzer, "--k1", 0.9, "--remove-old", "--resume")
    )
    assert f"which {alias} stands for now; before, for {old} (removed)\n" in second.err
    (new,) = asked(f"{moved.url}/{alias}/_alias")
    assert asked(f"{moved.url}/{new}/_count")["count"] == 4
    settings = asked(f"{moved.url}/{new}/_settings")[new]["settings"]["index"]
    assert float(settings["similarity"]["default"]["k1"]) == 0.9
    for query in QUERIES:
        here = set(found(run, query, "--index", "index"))
        assert set(found(run, query, *moved.settings(index=alias))) == here


def test_a_template_and_fields_from_the_settings(
    run: Run, moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("twopass.toml").write_text(
        f"""
[retriever]
kind = "{moved.engine}"
url = "http://127.0.0.1:9,{moved.url}"
index = "{moved.name}"
text_fields = "title, text"
title_field = ""
template.multi_match.query = "{{query}}"
template.multi_match.fields = ["title"]
"""
    )
    assert found(run, "owls garden") == ["owl"]
    assert found(run, "the garden") == []
    monkeypatch.setenv("TWOPASS_RETRIEVER__TEMPLATE", '{"match": {"text": "{query}"}}')
    assert found(run, "the garden chased")[0] == "dog"


def test_what_may_be_missing_is_told(run: Run, moved: Moved) -> None:
    fields = ("--set=retriever.text_fields=body", "--set=retriever.title_field=")
    done = run("search", "--no-rerank", "--json", "cat", *moved.settings(), *fields)
    [warning] = json.loads(done.out)["warnings"]
    assert warning.startswith("no document that was found has a field body")
    assert done.err == f"twopass: warning: {warning}\n"
