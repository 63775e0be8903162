"""Searches and loads that go on while a server is made to fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import Self

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic import Connection, ElasticsearchRetriever
from twopass.retriever.elastic.upload import create_documents
from twopass.retriever.errors import UnreachableError
from twopass.retriever.hits import Hits


class Watcher(Thread):
    """Asks for the same again and again; any error but that of a server that is away is raised.

    Attributes:
        answers: what was found, whole or with a warning.
        failures: how many searches ended in ``UnreachableError``.

    """

    def __init__(self, retriever: ElasticsearchRetriever, query: str, k: int) -> None:
        super().__init__()
        self.answers: list[Hits] = []
        self.failures = 0
        self._search = lambda: retriever.search([query], k)[0]
        self._ended = Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            try:
                self.answers.append(self._search())
            except UnreachableError:
                self.failures += 1

    def check(self, expected: set[str]) -> None:
        """Hold every answer to be what is expected, or a part of it with a warning."""
        for hits in self.answers:
            found = set(hits.ids)
            assert found == expected or (hits.warnings and found < expected)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


class Loader(Thread):
    """Loads documents, and tells when it is in the middle of it.

    Attributes:
        middle: set when a third of the documents has been read.
        outcomes: id and reason of each, in order.

    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        documents: Sequence[Document],
        first_wait: float = 0.5,
    ) -> None:
        super().__init__()
        self.middle = Event()
        self.outcomes: list[tuple[str, str]] = []
        self._documents = documents
        self._created = create_documents(connection, name, self._drawn(), first_wait=first_wait)

    def run(self) -> None:
        self.outcomes = [(outcome.id, outcome.reason) for outcome in self._created]

    def _drawn(self) -> Iterator[Document]:
        for number, document in enumerate(self._documents):
            if number == len(self._documents) // 3:
                self.middle.set()
            yield document
