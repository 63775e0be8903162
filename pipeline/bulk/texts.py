"""Documents' texts by id, from the disk: an index, or a small database made of a corpus."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from pipeline.errors import BulkError
from retriever.documents import Document

__all__ = ["Texts", "make_texts", "open_texts"]

_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 5000


class Texts(Protocol):
    """Looks texts up."""

    def get(self, ids: Sequence[str]) -> list[str]:
        """Return the text of each document, as a reranker reads it, in order.

        Raises:
            BulkError: when there is no document of an id.

        """
        ...


class _IndexTexts:
    def __init__(self, folder: Path) -> None:
        from retriever.bm25.index import BM25Index

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
    """Open an index's folder, or a file that :func:`make_texts` made."""
    return _IndexTexts(path) if path.is_dir() else _TableTexts(path)


def make_texts(
    documents: Iterable[Document], file: Path, done: Callable[[int], None] = lambda _: None
) -> None:
    """Write a database of texts by id, whole or not at all; documents are read as a stream.

    Raises:
        BulkError: when an id comes twice.
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
