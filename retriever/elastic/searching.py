"""Many searches in few requests; each sent until the server answers or refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retriever.elastic.answers import error_in, is_busy
from retriever.elastic.connection import Connection, part, timed_out
from retriever.elastic.retrying import retrying

__all__ = ["search_all"]

_BATCH = 50

Body = Mapping[str, Any]
Answer = Mapping[str, Any]


def search_all(
    connection: Connection, index: str, bodies: Sequence[Body], *, header: Body
) -> Iterator[Answer]:
    """Yield the answer to each search, in order.

    Args:
        connection: the server.
        index: its name, or an alias.
        bodies: of ``_search``.
        header: what ``_msearch`` is told before each: ``routing``, ``search_type``.

    Raises:
        BackendError: when the server cannot be reached, stays too busy or refuses one.

    """
    path = f"/{part(index)}/_msearch"
    patiently = retrying(connection.retries, unless=timed_out, unfinished=bool)
    for start in range(0, len(bodies), _BATCH):
        batch = _Batch(bodies[start : start + _BATCH], header)
        patiently(batch.send, connection, path)
        yield from batch.answers(index)


class _Batch:
    """Searches that are sent together."""

    def __init__(self, bodies: Sequence[Body], header: Body) -> None:
        self._bodies = bodies
        self._header = header
        self._answers: list[Answer] = [{} for _ in bodies]
        self._waiting = list(range(len(bodies)))

    def send(self, connection: Connection, path: str) -> int:
        """Send what has not been answered; return how much of it is still waiting."""
        lines = [line for place in self._waiting for line in (self._header, self._bodies[place])]
        answers = connection.send("POST", path, lines)["responses"]
        busy = []
        for place, answer in zip(self._waiting, answers, strict=True):
            self._answers[place] = answer
            if is_busy(answer):
                busy.append(place)
        self._waiting = busy
        return len(busy)

    def answers(self, index: str) -> Iterator[Answer]:
        """Yield the answers, or raise the error that one of them holds."""
        for answer in self._answers:
            error = error_in(index, answer)
            if error is not None:
                raise error
            yield answer
