"""Documents -> an index on a server, in chunks that are sent until each is taken or refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twopass.retriever.corpus.documents import Document
from twopass.retriever.elastic.connection import Connection, part, retrying
from twopass.retriever.elastic.errors import UNAVAILABLE
from twopass.retriever.elastic.remote_index import create_index, index_body, source_of
from twopass.retriever.errors import BackendError
from twopass.retriever.scoring import Lucene

__all__ = [
    "LoadReport",
    "Outcome",
    "create_documents",
    "load_documents",
]


_CHUNK = 500
_CHUNK_BYTES = 10 * 1024 * 1024
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document: taken where there is no reason why not.

    Attributes:
        id: the document's.
        reason: why the server did not take it.
        there: the index had it already, and was to keep it.

    """

    id: str
    reason: str = ""
    there: bool = False


def create_documents(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    resume: bool = False,
    retries: int = 8,
    first_wait: float = 0.5,
) -> Iterator[Outcome]:
    """Send documents as they come, and yield what became of each, in order.

    What the server is too busy for is sent again, ever more patiently: single documents, or a
    chunk whose answer did not come. One that turns out to be there then was taken the first time.

    Args:
        connection: the server.
        name: of the index.
        documents: each id once; one that the index has is refused, not overwritten.
        resume: what the index has is passed over instead; it is asked first, by the ids alone.
        retries: how often after the first time.
        first_wait: before the first of them, in seconds; the waits double.

    Raises:
        UnreachableError: when the server gave no answer to the last try.
        BackendError: when it refuses a request as a whole.

    """
    path = f"/{part(name)}/_bulk"
    patiently = retrying(retries, first=first_wait, unfinished=bool)
    for entries in _chunks(documents):
        chunk = _Chunk(entries)
        if resume:
            patiently(chunk.pass_over, connection, f"/{part(name)}/_mget")
        if chunk.waiting:
            patiently(chunk.send, connection, path)
        yield from chunk.outcomes()


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    lines: bytes


class _Chunk:
    """Documents that are sent together."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = entries
        self._reasons = [""] * len(entries)
        self._there = [False] * len(entries)
        self._waiting = list(range(len(entries)))
        self._sent = False

    @property
    def waiting(self) -> int:
        """How many have been neither taken nor refused."""
        return len(self._waiting)

    def pass_over(self, connection: Connection, path: str) -> None:
        """Ask which of the documents the index has: those are not sent."""
        ids = {"ids": [entry.id for entry in self._entries]}
        found = connection.send("POST", path, ids, _source="false")["docs"]
        self._there = [bool(document.get("found")) for document in found]
        self._waiting = [place for place, there in enumerate(self._there) if not there]

    def send(self, connection: Connection, path: str) -> int:
        """Send what has not been taken or refused; return how much of it is still waiting."""
        body = b"".join(self._entries[place].lines for place in self._waiting)
        resent, self._sent = self._sent, True
        items = connection.send("POST", path, body)["items"]
        busy = []
        for place, item in zip(self._waiting, items, strict=True):
            status, reason = _result(item)
            taken_before = resent and status == _CONFLICT
            self._reasons[place] = "" if taken_before else reason
            if status in UNAVAILABLE:
                busy.append(place)
        self._waiting = busy
        return len(busy)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what became of each document, so far as is known."""
        for entry, reason, there in zip(self._entries, self._reasons, self._there, strict=True):
            yield Outcome(entry.id, reason, there)


def _result(item: dict[str, Any]) -> tuple[int, str]:
    """Return a document's status and, if it was not taken, why."""
    (result,) = item.values()
    error = result.get("error")
    reason = error.get("reason", error) if isinstance(error, dict) else error
    return int(result["status"]), "" if error is None else str(reason)


def _chunks(documents: Iterable[Document]) -> Iterator[list[_Entry]]:
    chunk: list[_Entry] = []
    size = 0
    for document in documents:
        entry = _Entry(document.id, _lines(document))
        if chunk and (len(chunk) == _CHUNK or size + len(entry.lines) > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry.lines)
    if chunk:
        yield chunk


def _lines(document: Document) -> bytes:
    both = ({"create": {"_id": document.id}}, source_of(document))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in both).encode(
        errors="surrogatepass"
    )


_SHOWN = 10
_OFTEN = 1000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the documents.

    Attributes:
        loaded: how many the index has: those taken now, and those that it had.
        failed: how many the server did not take.
        reasons: id and reason of the first that failed.
        there: how many of the loaded it had already, when loading was resumed.

    """

    loaded: int
    failed: int
    reasons: tuple[tuple[str, str], ...]
    there: int = 0


def load_documents(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    analysis: Mapping[str, Any],
    scoring: Lucene = Lucene(),  # noqa: B008 - frozen
    shards: int = 1,
    replicas: int = 0,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Create an index and load documents as a stream; they can be searched on return.

    No more is read of the documents than is being sent.

    Args:
        connection: the server.
        name: of the index, new there.
        documents: each id once.
        analysis: the index's settings of that name, see ``server_analyzer``.
        scoring: k1 and b of the server's BM25.
        shards: each scores by its own statistics.
        replicas: further copies.
        resume: take up an index that was made alike and pass over what it has; and leave what is
            loaded when this ends early, to be resumed.
        progress: called now and then with the number of documents done.

    Raises:
        IndexExistsError: when there is an index of that name, or with ``resume`` a different one.
        BackendError: when the server cannot be reached or refuses; the index is removed again
            unless ``resume``, as after any other error.

    """
    body = index_body(analysis, scoring, shards=shards, replicas=replicas)
    new = create_index(connection, name, body, resume=resume)
    try:
        return _fill(connection, name, documents, resume=resume and not new, progress=progress)
    except BaseException:
        if not resume:
            with suppress(BackendError):  # the first error is the one to report
                connection.request("DELETE", f"/{part(name)}")
        raise


def _fill(
    connection: Connection,
    name: str,
    documents: Iterable[Document],
    *,
    resume: bool,
    progress: Callable[[int], None] | None,
) -> LoadReport:
    """Load documents into an index that is there, and make them visible."""
    counts: Counter[str] = Counter()
    reasons: list[tuple[str, str]] = []
    outcomes = create_documents(connection, name, documents, resume=resume)
    for done, outcome in enumerate(outcomes, 1):
        counts["failed" if outcome.reason else "loaded"] += 1
        counts["there"] += outcome.there
        if outcome.reason and len(reasons) < _SHOWN:
            reasons.append((outcome.id, outcome.reason))
        if progress is not None and done % _OFTEN == 0:
            progress(done)
    connection.request("POST", f"/{part(name)}/_refresh")
    if progress is not None:
        progress(counts["loaded"] + counts["failed"])
    return LoadReport(counts["loaded"], counts["failed"], tuple(reasons), counts["there"])
