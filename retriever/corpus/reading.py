"""Documents from files: the readers, field names, bad records and duplicates put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from retriever.base import CorpusError, DuplicateIdError
from retriever.corpus.fields import FieldNames, to_document
from retriever.corpus.jsonl import read_objects
from retriever.corpus.parquet import read_table
from retriever.corpus.rejects import OnError, Reject, SkipReport, stop
from retriever.corpus.seen import SeenIds
from retriever.corpus.sources import Format, PathLike, Source, find_sources
from retriever.corpus.tables import read_rows
from retriever.documents import Document

__all__ = ["read_documents"]

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
        self._reject: Reject = stop if on_error == "stop" else report.add
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
    source: Source, fields: FieldNames, reject: Reject
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    match source.format:
        case "parquet":
            return read_table(source, fields, reject)
        case "csv" | "tsv":
            return read_rows(source, fields, reject)
        case _:
            return read_objects(source, reject)
