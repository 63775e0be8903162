"""Aliases that move from index to index, and loads that are taken up, on both real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from twopass.retriever.analysis import get_analyzer
from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import Published, load_documents, publish_documents, read_documents
from twopass.retriever.elastic.remote_index import server_analyzer
from twopass.retriever.errors import IndexExistsError, RefusedError
from twopass.retriever.scoring import Lucene

from .conftest import Remote

pytestmark = pytest.mark.server

STANDARD = server_analyzer(get_analyzer("standard"))
DOCUMENTS = [Document(f"d{number}", f"cat {number}") for number in range(1_203)]
BAD = [Document("good", "x", metadata={"v": 1}), Document("bad", "y", metadata={"v": "word"})]


def publish(remote: Remote, documents: Iterable[Document], **options: Any) -> Published:
    options = {"analysis": STANDARD} | options
    return publish_documents(remote.connection, remote.name, documents, **options)


def count(remote: Remote, name: str) -> int:
    return int(remote.connection.request("GET", f"/{name}/_count")["count"])


def behind(remote: Remote) -> list[str]:
    return sorted(remote.connection.request("GET", f"/{remote.name}/_alias"))


def indices(remote: Remote) -> list[str]:
    return sorted(remote.connection.request("GET", f"/{remote.name}*/_settings"))


def interrupted(documents: list[Document], after: int) -> Iterator[Document]:
    yield from documents[:after]
    raise KeyboardInterrupt


def test_the_alias_moves_when_the_new_index_is_whole(remote: Remote) -> None:
    first = publish(remote, DOCUMENTS[:3])
    assert (first.replaced, first.report.loaded, behind(remote)) == ((), 3, [first.index])
    assert first.index.startswith(f"{remote.name}-20")

    def watched() -> Iterator[Document]:
        for document in DOCUMENTS:
            if document.id == "d700":  # the old one is searched while the new one is loaded
                assert behind(remote) == [first.index]
                assert count(remote, remote.name) == 3
            yield document

    second = publish(remote, watched(), shards=2)
    assert (second.replaced, second.removed) == ((first.index,), ())
    assert (behind(remote), count(remote, remote.name)) == ([second.index], 1_203)
    third = publish(remote, DOCUMENTS[:1], remove_old=True)
    assert third.removed == (second.index,)
    assert (behind(remote), indices(remote)) == ([third.index], [first.index, third.index])


def test_an_index_with_another_alias_stays(remote: Remote) -> None:
    first = publish(remote, DOCUMENTS[:3])
    other = {"add": {"index": first.index, "alias": f"{remote.name}-other"}}
    remote.connection.request("POST", "/_aliases", {"actions": [other]})
    second = publish(remote, DOCUMENTS[:1], remove_old=True)
    assert (second.replaced, second.removed) == ((first.index,), ())
    assert behind(remote) == [second.index]
    assert count(remote, f"{remote.name}-other") == 3


def test_a_refused_document_leaves_the_alias(remote: Remote) -> None:
    first = publish(remote, DOCUMENTS[:3])
    with pytest.raises(RefusedError, match=r"1 of 2 documents were refused.*'bad': "):
        publish(remote, BAD, remove_old=True)
    assert (behind(remote), indices(remote)) == ([first.index], [first.index])


def test_an_index_is_no_alias(remote: Remote) -> None:
    load_documents(remote.connection, remote.name, DOCUMENTS[:3], analysis=STANDARD)
    with pytest.raises(IndexExistsError, match="cannot be an alias as well"):
        publish(remote, DOCUMENTS)
    assert count(remote, remote.name) == 3


_LOADER = """
import sys, time
from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import connect, load_documents

def documents():
    for number in range(1_203):
        if number == 1_100:
            print("so far", flush=True)
            time.sleep(600)
        yield Document(f"d{number}", f"cat {number}")

url, engine, name = sys.argv[1:]
load_documents(connect(url, engine=engine), name, documents(), analysis={}, resume=True)
"""


def test_a_process_that_is_killed_is_taken_up(remote: Remote) -> None:
    command = [sys.executable, "-c", _LOADER, remote.url, remote.engine, remote.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as loader:
        assert loader.stdout is not None
        assert loader.stdout.readline() == b"so far\n"
        loader.kill()
    report = load_documents(remote.connection, remote.name, DOCUMENTS, analysis={}, resume=True)
    assert (report.loaded, report.there, report.failed) == (1_203, 1_000, 0)
    ids = sorted(document.id for document in read_documents(remote.connection, remote.name))
    assert ids == sorted(document.id for document in DOCUMENTS)


def test_publishing_is_taken_up(remote: Remote) -> None:
    first = publish(remote, DOCUMENTS[:3])
    with pytest.raises(KeyboardInterrupt):
        publish(remote, interrupted(DOCUMENTS, 600), resume=True)
    assert behind(remote) == [first.index]
    (unfinished,) = set(indices(remote)) - {first.index}
    done = publish(remote, DOCUMENTS, resume=True)
    assert (done.index, done.report.loaded, done.report.there) == (unfinished, 1_203, 500)
    assert (behind(remote), count(remote, remote.name)) == ([unfinished], 1_203)
    again = publish(remote, DOCUMENTS, resume=True)  # what is published is not taken up again
    assert (again.index != unfinished, again.report.there) == (True, 0)


def test_what_is_made_otherwise_is_not_taken_up(remote: Remote) -> None:
    connection, name = remote.connection, remote.name
    with pytest.raises(KeyboardInterrupt):
        load_documents(
            connection, name, interrupted(DOCUMENTS, 600), analysis=STANDARD, resume=True
        )
    with pytest.raises(IndexExistsError, match="made otherwise"):
        load_documents(
            connection, name, DOCUMENTS, analysis=STANDARD, scoring=Lucene(k1=2), resume=True
        )
    with pytest.raises(IndexExistsError, match="or resume"):
        load_documents(connection, name, DOCUMENTS, analysis=STANDARD)
    report = load_documents(connection, name, DOCUMENTS, analysis=STANDARD, resume=True)
    assert (report.loaded, report.there, count(remote, name)) == (1_203, 500, 1_203)


def test_documents_that_left_the_source_are_noticed(remote: Remote) -> None:
    with pytest.raises(KeyboardInterrupt):
        publish(remote, interrupted(DOCUMENTS, 600), resume=True)
    with pytest.raises(RefusedError, match="expected 703 documents, the server counts 1,203"):
        publish(remote, DOCUMENTS[500:], resume=True)


def test_how_an_index_is_made(remote: Remote) -> None:
    scoring = Lucene(k1=0.9, b=0.4)
    made = publish(remote, DOCUMENTS[:1], scoring=scoring, shards=3, replicas=1)
    settings = remote.connection.request("GET", f"/{made.index}/_settings")
    index = settings[made.index]["settings"]["index"]
    assert (index["number_of_shards"], index["number_of_replicas"]) == ("3", "1")
    similarity = index["similarity"]["default"]
    assert (similarity["k1"], similarity["b"]) == ("0.9", "0.4")
