"""Many searches in few requests, and the server's answers as hits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twopass.retriever.elastic.connection import Connection, part, retrying, timed_out
from twopass.retriever.elastic.errors import UNAVAILABLE, error_of_status, reason_of
from twopass.retriever.elastic.queries import IndexFields
from twopass.retriever.errors import BackendError
from twopass.retriever.hits import Hits

__all__ = [
    "Found",
    "error_in",
    "found_in",
    "hits_in",
    "is_busy",
    "search_all",
]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found for one query, with more of each document than a second stage needs.

    Attributes:
        hits: (n,) ids, scores and texts, best first.
        sources: (n,) the fields that were asked for, as they are stored.
        highlights: (n,) fragments by field, those that match marked.
        total: how many documents match; ``None`` where it was not asked for.

    """

    hits: Hits
    sources: Sequence[Mapping[str, Any]]
    highlights: Sequence[Mapping[str, Sequence[str]]]
    total: int | None


def is_busy(answer: Mapping[str, Any]) -> bool:
    """Tell whether one of several answers says that the server may give it later."""
    return "error" in answer and answer.get("status") in UNAVAILABLE


def error_in(index: str, answer: Mapping[str, Any]) -> BackendError | None:
    """Return the error that one of several answers holds."""
    if "error" not in answer:
        return None
    return error_of_status(index, int(answer.get("status", 400)), reason_of(answer["error"]))


def hits_in(answer: Mapping[str, Any], fields: IndexFields) -> Hits:
    """Return what was found, with warnings where it may not be all, or cannot be read."""
    found = answer["hits"]["hits"]
    documents = [fields.document(hit["_id"], hit.get("_source", {})) for hit in found]
    return Hits.of(
        [document.id for document in documents],
        [hit["_score"] for hit in found],
        [document.contents for document in documents],
        [*_missing(answer), *_unreadable(found, fields)],
    )


def found_in(answer: Mapping[str, Any], fields: IndexFields) -> Found:
    """Return the same with sources and highlights."""
    found = answer["hits"]["hits"]
    return Found(
        hits_in(answer, fields),
        [hit.get("_source", {}) for hit in found],
        [hit.get("highlight", {}) for hit in found],
        answer["hits"].get("total", {}).get("value"),
    )


def _missing(answer: Mapping[str, Any]) -> Iterator[str]:
    shards = answer.get("_shards", {"total": 0, "successful": 0})
    missing = shards["total"] - shards["successful"]  # more than "failed": some are nowhere
    if missing:
        failures = shards.get("failures") or [{}]
        reason = reason_of(failures[0].get("reason", "no node has them"))
        yield (
            f"{missing} of {shards['total']} shards did not answer, "
            f"so that documents may be missing: {reason}"
        )
    if answer.get("timed_out"):
        yield "the server ran out of time, so that documents may be missing"


def _unreadable(found: Sequence[Mapping[str, Any]], fields: IndexFields) -> Iterator[str]:
    if found and not any(fields.has_text(hit.get("_source", {})) for hit in found):
        yield (
            f"no document that was found has a field {' or '.join(fields.read)}, so that a second "
            "stage has nothing to read: name the fields of title and text"
        )


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
        header: what precedes each search in ``_msearch``: ``routing``, ``search_type``.

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
