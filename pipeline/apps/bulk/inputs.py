"""The inputs of a bulk job: a run file split into shards, and the documents' texts by id."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twopass.pipeline.errors import BulkError
from twopass.retriever.corpus.documents import Document

__all__ = [
    "Shard",
    "Texts",
    "find_shards",
    "make_texts",
    "open_texts",
]


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a run's file.

    Attributes:
        number: from 0.
        start: its first byte in the file.
        stop: the byte after its last.
        line: the number of its first line, from 1.
        pairs: number of its lines.

    """

    number: int
    start: int
    stop: int
    line: int
    pairs: int

    @property
    def name(self) -> str:
        """The file name of its result."""
        return f"part-{self.number:06}.trec"


def find_shards(run: Path, size: int) -> Iterator[Shard]:
    """Yield the shards of a run, in order; the file is read once, line by line.

    A query's lines stay together, so a shard can have more pairs than ``size``.

    Args:
        run: a TREC run, plain text; a query's lines follow each other, as all tools write them.
        size: minimum pairs per shard, except for the last.

    Raises:
        BulkError: when a query's lines do not follow each other.

    """
    seen: set[bytes] = set()
    query, number, pairs = b"", 0, 0
    start, line = 0, 1
    with run.open("rb") as file:
        place = 0
        for here, text in enumerate(file, start=1):
            words = text.split(None, 1)
            if words:
                if words[0] != query:
                    query = _new(words[0], seen, run, here)
                    if pairs >= size:
                        yield Shard(number, start, place, line, pairs)
                        start, line, number, pairs = place, here, number + 1, 0
                pairs += 1
            place += len(text)
        if pairs:
            yield Shard(number, start, place, line, pairs)


def _new(query: bytes, seen: set[bytes], run: Path, line: int) -> bytes:
    if query in seen:
        raise BulkError(
            f"{run}, line {line}: expected a query's lines one after the other, found "
            f"{query.decode(errors='replace')!r} again; sort the file by its first column: "
            "sort -s -k1,1"
        )
    seen.add(query)
    return query


_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 5000


class Texts(Protocol):
    """Looks up texts by document id."""

    def get(self, ids: Sequence[str]) -> list[str]:
        """Return the text of each document, as a reranker reads it, in order.

        Raises:
            BulkError: when an id has no document.

        """
        ...


class _IndexTexts:
    def __init__(self, folder: Path) -> None:
        from twopass.retriever.index.index import BM25Index

        self._index = BM25Index.open(folder)
        self._folder = folder

    def get(self, ids: Sequence[str]) -> list[str]:
        try:
            return [self._index.get(id).contents for id in ids]
        except KeyError as error:
            raise _missing(str(error.args[0]), self._folder) from error


class _TableTexts:
    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, ids: Sequence[str]) -> list[str]:
        found: dict[str, str] = {}
        with closing(
            sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        ) as table:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                part = ids[start : start + _IDS_AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT id, text FROM texts WHERE id IN ({marks})"
                found |= dict(table.execute(query, part))
        lost = next((id for id in ids if id not in found), None)
        if lost is not None:
            raise _missing(lost, self._file)
        return [found[id] for id in ids]


def open_texts(path: Path) -> Texts:
    """Open an index's folder, or a file of :func:`make_texts`."""
    return _IndexTexts(path) if path.is_dir() else _TableTexts(path)


def make_texts(
    documents: Iterable[Document], file: Path, done: Callable[[int], None] = lambda _: None
) -> None:
    """Write a database of texts by id atomically; documents are read as a stream.

    Raises:
        BulkError: when an id occurs twice.
        CorpusError: when a document cannot be read.

    """
    partial = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        with closing(sqlite3.connect(partial)) as table, table:
            table.execute("PRAGMA journal_mode=OFF")
            table.execute("PRAGMA synchronous=OFF")
            table.execute("CREATE TABLE texts (id TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
            for count, document in enumerate(documents, start=1):
                row = (document.id, document.contents)
                table.execute("INSERT INTO texts VALUES (?, ?)", row)
                if count % _ROWS_AT_ONCE == 0:
                    done(count)
        partial.replace(file)
    except sqlite3.Error as error:
        raise BulkError(f"{file}: the texts could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _missing(id: str, where: Path) -> BulkError:
    return BulkError(f"expected a text for document {id!r} of the run, found none in {where}")
