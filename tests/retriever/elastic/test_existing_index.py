"""An index that was there before us, on both real servers."""

from __future__ import annotations

from typing import Any

import pytest

from twopass.retriever.elastic import IndexFields
from twopass.retriever.errors import QueryError, RefusedError, RemoteIndexMissingError
from twopass.retriever.filters import Equal, Range

from .conftest import Remote

pytestmark = pytest.mark.server

MAPPING = {
    "settings": {"number_of_shards": 2, "number_of_replicas": 0},
    "mappings": {
        "properties": {
            "head": {"properties": {"line": {"type": "text"}}},
            "body": {"type": "text"},
            "lang": {"type": "keyword"},
            "year": {"type": "integer"},
        }
    },
}
ARTICLES: dict[str, Any] = {
    "cat": {"head": {"line": "Cats"}, "body": "A cat and a mat.", "lang": "en", "year": 1999},
    "dog": {"head": {"line": "Dogs"}, "body": "A dog chased the cat.", "lang": "en", "year": 2010},
    "owl": {"head": {"line": "Owls"}, "body": ["Owls hunt.", "At night."], "lang": "fr", "year": 1},
}
FIELDS = IndexFields(("head.line^2", "body"), title="head.line", text=("body",), metadata="")


@pytest.fixture
def articles(remote: Remote) -> Remote:
    remote.put(remote.name, MAPPING, ARTICLES)
    return remote


def test_named_fields_are_searched_and_read(articles: Remote) -> None:
    retriever = articles.retriever(fields=FIELDS)
    [cats, owls, none] = retriever.search(["cats cat", "owls night", "whale"], 10)
    assert (cats.ids.tolist(), cats.warnings) == (["cat", "dog"], ())
    assert cats.texts[0] == "Cats\nA cat and a mat."
    assert owls.texts.tolist() == ["Owls\nOwls hunt.\nAt night."]
    assert len(none) == 0
    retriever.close()


def test_filters_name_the_documents_own_fields(articles: Remote) -> None:
    retriever = articles.retriever(fields=FIELDS)
    [recent] = retriever.search(["cat"], 10, filter=Range("year", gte=2000))
    assert recent.ids.tolist() == ["dog"]
    [french] = retriever.search(["cat"], 10, filter=Equal("lang", "fr"))
    assert len(french) == 0
    retriever.close()


def test_a_template_takes_any_text_and_a_filter(articles: Remote) -> None:
    template = {
        "bool": {
            "must": {"multi_match": {"query": "{query}", "fields": ["head.line", "body"]}},
            "should": {"match_phrase": {"body": "{query}"}},
        }
    }
    retriever = articles.retriever(fields=FIELDS, template=template)
    queries = ['cat" } ] } \\ {query} \n', "the cat"]
    assert [set(hits.ids) for hits in retriever.search(queries, 5)] == [{"cat", "dog"}] * 2
    [only] = retriever.search(["cat"], 5, filter=Equal("year", 1999))
    assert only.ids.tolist() == ["cat"]
    retriever.close()


def test_what_a_template_gets_wrong_is_the_servers_to_say(articles: Remote) -> None:
    retriever = articles.retriever(template={"macth": {"body": "{query}"}})
    with pytest.raises(RefusedError, match="macth"):
        retriever.search(["cat"], 1)
    retriever.close()


def test_a_missing_index_is_told_by_its_type(remote: Remote) -> None:
    retriever = remote.retriever()
    with pytest.raises(RemoteIndexMissingError, match="no such index"):
        retriever.search(["cat"], 1)
    with pytest.raises(RemoteIndexMissingError, match="no such index"):
        list(retriever.pages("cat"))
    retriever.close()


def test_sources_and_highlights(articles: Remote) -> None:
    retriever = articles.retriever(fields=FIELDS)
    highlight = {"fields": {"body": {}}, "pre_tags": ["<"], "post_tags": [">"]}
    found = retriever.find("cat", 1, source=["lang", "ye*"], highlight=highlight)
    assert (found.hits.ids.tolist(), found.total) == (["cat"], 2)
    assert found.sources[0] == ARTICLES["cat"]
    assert found.highlights[0] == {"body": ["A <cat> and a mat."]}
    little = retriever.find("cat", 1, source=[])
    assert little.sources[0].keys() == {"head", "body"}
    retriever.close()


def test_pages_go_on_to_the_end_and_see_one_moment(articles: Remote) -> None:
    more = {f"n{number}": {"body": "cat " * (1 + number % 3)} for number in range(5)}
    for id, source in more.items():
        articles.connection.request("PUT", f"/{articles.name}/_doc/{id}", source, refresh="true")
    retriever = articles.retriever(fields=FIELDS)
    pages = retriever.pages("cat", size=2)
    first = next(pages)
    articles.connection.request(
        "PUT", f"/{articles.name}/_doc/late", {"body": "cat"}, refresh="true"
    )
    rest = list(pages)
    ids = [id for page in [first, *rest] for id in page.ids]
    scores = [score for page in [first, *rest] for score in page.scores]
    assert sorted(ids) == sorted(["cat", "dog", *more])
    assert scores == sorted(scores, reverse=True)
    assert [len(page) for page in rest] == [2, 2, 1]
    retriever.close()


def test_all_documents_with_what_is_left_as_metadata(articles: Remote) -> None:
    retriever = articles.retriever(fields=FIELDS)
    documents = {document.id: document for document in retriever.documents()}
    assert documents.keys() == ARTICLES.keys()
    assert documents["owl"].text == "Owls hunt.\nAt night."
    assert documents["dog"].metadata["year"] == 2010
    retriever.close()


def test_routing_reaches_its_shards_alone(remote: Remote) -> None:
    body = {"settings": {"number_of_shards": 5, "number_of_replicas": 0}}
    remote.put(remote.name, body, {"a": {"text": "cat"}}, routing="one")
    for routing, expected in (("one", ["a"]), ("two", []), (None, ["a"])):
        retriever = remote.retriever(fields=IndexFields(("text",)), routing=routing)
        assert retriever.search(["cat"], 5)[0].ids.tolist() == expected
        assert [id for page in retriever.pages("cat") for id in page.ids] == expected
        assert [document.id for document in retriever.documents()] == expected
        retriever.close()


def test_shards_that_fail_leave_a_warning(articles: Remote) -> None:
    other = f"{articles.name}-other"
    numbers = {"mappings": {"properties": {"body": {"type": "integer"}}}}
    articles.put(other, numbers, {"1": {"body": 1}})
    retriever = articles.retriever(
        f"{articles.name},{other}", fields=IndexFields(("body",), text=("body",))
    )
    [hits] = retriever.search(["cat"], 5)
    assert set(hits.ids) == {"cat", "dog"}
    [warning] = hits.warnings
    assert "of 3 shards did not answer, so that documents may be missing" in warning
    retriever.close()


def test_pages_are_never_partial(articles: Remote) -> None:
    other = f"{articles.name}-other"
    numbers = {"mappings": {"properties": {"body": {"type": "integer"}}}}
    articles.put(other, numbers, {"1": {"body": 1}})
    retriever = articles.retriever(
        f"{articles.name},{other}", fields=IndexFields(("body",), text=("body",))
    )
    with pytest.raises(RefusedError):
        list(retriever.pages("cat"))
    retriever.close()


def test_fields_that_no_document_has_leave_a_warning(articles: Remote) -> None:
    retriever = articles.retriever(fields=IndexFields(("body",)))
    [hits] = retriever.search(["cat"], 5)
    assert hits.texts.tolist() == ["", ""]
    assert "no document that was found has a field title or text" in hits.warnings[0]
    retriever.close()


@pytest.mark.parametrize("k", [0, 10_001])
def test_the_window_is_the_servers(articles: Remote, k: int) -> None:
    retriever = articles.retriever(fields=FIELDS)
    for search in (lambda: retriever.search(["cat"], k), lambda: retriever.find("cat", k)):
        with pytest.raises(QueryError, match=r"1 to 10,000.*pages\(\) goes deeper"):
            search()
    retriever.close()
