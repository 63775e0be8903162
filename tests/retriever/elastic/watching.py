"""Searches that go on while a server is made to fail."""

from __future__ import annotations

from threading import Event, Thread
from typing import Self

from retriever.base import UnreachableError
from retriever.elastic import ElasticsearchRetriever
from retriever.hits import Hits


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
