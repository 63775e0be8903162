"""Documents from files: readers, field names, bad records and duplicate ids."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from twopass.retriever.corpus.documents import Document
from twopass.retriever.corpus.lines import read_objects
from twopass.retriever.corpus.records import (
    ErrorHandler,
    FieldNames,
    OnError,
    SkipReport,
    stop,
    to_document,
)
from twopass.retriever.corpus.sources import Format, PathLike, Source, find_sources
from twopass.retriever.corpus.tables import read_rows, read_table
from twopass.retriever.errors import CorpusError, DuplicateIdError

__all__ = [
    "SeenIds",
    "read_documents",
]


_MASK = (1 << 64) - 1


class SeenIds:
    """Tells whether an id came before, and at which number.

    An open-addressing table of 64-bit hashes, 24 to 48 bytes an id where a dict of strings
    needs some 170. Two different ids share a hash with probability n^2 / 2^65: one in ten
    million for two million ids.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hashes = _zeros(1 << 10)
        self._numbers = _zeros(1 << 10)

    def add(self, id: str, number: int) -> int | None:
        """Note the id under a number; return the number under which it came before, if so."""
        if 3 * self._count >= 2 * len(self._hashes):
            self._grow()
        key = hash(id) & _MASK or 1  # zero marks a free slot
        slot = self._slot(key)
        if self._hashes[slot] == key:
            return self._numbers[slot]
        self._hashes[slot], self._numbers[slot] = key, number
        self._count += 1
        return None

    def _slot(self, key: int) -> int:
        last = len(self._hashes) - 1
        slot = key & last
        while self._hashes[slot] not in (0, key):
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        old = zip(self._hashes, self._numbers, strict=True)
        size = 2 * len(self._hashes)
        self._hashes, self._numbers = _zeros(size), _zeros(size)
        for key, number in old:
            if key:
                slot = self._slot(key)
                self._hashes[slot], self._numbers[slot] = key, number


def _zeros(size: int) -> array[int]:
    return array("Q", bytes(8 * size))


_DEFAULT_FIELDS = FieldNames()
_LINE_BITS = 40
_LINE_MASK = (1 << _LINE_BITS) - 1


def read_documents(
    paths: PathLike | Sequence[PathLike],
    *,
    format: Format | None = None,  # noqa: A002
    fields: FieldNames = _DEFAULT_FIELDS,
    on_error: OnError = "stop",
    report: SkipReport | None = None,
) -> Iterator[Document]:
    """Read documents one by one.

    Args:
        paths: files, folders (a BEIR folder's corpus, or else all files of known endings below
            it, sorted by path), or "-" for standard input.
        format: how to read them; None goes by the ending (standard input: JSON Lines).
        fields: which fields are the id, text and title.
        on_error: "stop" raises at the first bad record; "skip" goes on with the next.
        report: where skipped records are counted.

    Raises:
        CorpusError: at once when a path does not exist; while reading when a record is bad, a
            file is damaged, a field that was named never comes, or there is no document at all.
        DuplicateIdError: when an id comes twice.

    """
    if on_error not in get_args(OnError):
        raise CorpusError(f"on_error: expected 'stop' or 'skip', found {on_error!r}")
    sources = find_sources(paths, format)
    return _Reading(sources, fields, report or SkipReport(), on_error).documents()


class _Reading:
    """One pass over all sources."""

    def __init__(
        self, sources: list[Source], fields: FieldNames, report: SkipReport, on_error: OnError
    ) -> None:
        self._sources = sources
        self._fields = fields
        self._report = report
        self._reject: ErrorHandler = stop if on_error == "stop" else report.add
        self._seen = SeenIds()
        self._count = 0
        self._titled = fields.title is None

    def documents(self) -> Iterator[Document]:
        for which, source in enumerate(self._sources):
            for number, record in _records(source, self._fields, self._reject):
                try:
                    document = self._document(record)
                    self._check_new(document.id, which, number)
                except DuplicateIdError as error:
                    self._reject(error)
                except CorpusError as error:
                    self._reject(CorpusError(f"{source.place(number)}: {error}"))
                else:
                    self._count += 1
                    yield document
        self._check_whole()

    def _document(self, record: Mapping[str, Any]) -> Document:
        self._titled = self._titled or self._fields.title in record
        return to_document(record, self._fields)

    def _check_new(self, id: str, which: int, number: int) -> None:
        before = self._seen.add(id, which << _LINE_BITS | number)
        if before is not None:
            first = self._sources[before >> _LINE_BITS].place(before & _LINE_MASK)
            raise DuplicateIdError(
                f"{self._sources[which].place(number)}: expected a new id, found {id!r:.200}, "
                f"which is also the id of {first}"
            )

    def _check_whole(self) -> None:
        read = ", ".join(source.name for source in self._sources[:3])
        if not self._count:
            skipped = f"; {self._report.count} records were skipped" if self._report.count else ""
            first = f", the first: {self._report.cases[0]}" if self._report.cases else ""
            raise CorpusError(f"{read}: expected documents, found none{skipped}{first}")
        if not self._titled:
            raise CorpusError(
                f"{read}: expected titles in the field {self._fields.title!r}, "
                "found it in no record"
            )


def _records(
    source: Source, fields: FieldNames, reject: ErrorHandler
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    match source.format:
        case "parquet":
            return read_table(source, fields, reject)
        case "csv" | "tsv":
            return read_rows(source, fields, reject)
        case _:
            return read_objects(source, reject)
