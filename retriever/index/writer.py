"""The one that writes an index: each batch of changes is one commit, merging goes on behind."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from twopass.retriever.analysis import Analyzer
from twopass.retriever.corpus.documents import Document, check_documents
from twopass.retriever.errors import DuplicateIdError, StorageError
from twopass.retriever.index.builder import write_segment
from twopass.retriever.index.fields import DocumentEncoder
from twopass.retriever.index.maintenance import (
    deleted_during_merge,
    merge_segments,
    replaced,
    segments_to_merge,
    write_deletes,
)
from twopass.retriever.index.manifest import SegmentRecord
from twopass.retriever.index.segment import Segment
from twopass.retriever.index.snapshot import Snapshot, load_snapshot
from twopass.retriever.index.storage import Storage
from twopass.retriever.scoring import Scoring

__all__ = ["Writer"]

_log = logging.getLogger(__name__)


class Writer:
    """Writes to a storage that nobody else writes to, until it is closed.

    Changes come one at a time. A merge reads segments, which never change, and writes a new one
    while changes go on; what was deleted meanwhile is deleted from the new one before it counts.

    Args:
        storage: where the index is.
        analyzer: the index's.
        scoring: of the snapshots that it makes.
        publish: called with each new commit.

    Raises:
        LockedError: when there is another writer.

    """

    def __init__(
        self,
        storage: Storage,
        analyzer: Analyzer,
        scoring: Scoring,
        publish: Callable[[Snapshot], None],
    ) -> None:
        self._storage = storage
        self._publish = publish
        self._changing = threading.Lock()
        self._merging = threading.Lock()
        self._thread: threading.Thread | None = None
        self._target = ""  # the file that a merge is writing
        self._lock = storage.lock()
        try:
            self._snapshot = load_snapshot(storage, scoring)
        except BaseException:
            self.close()
            raise
        self._encoder = DocumentEncoder(analyzer, self._snapshot.manifest.weights)
        publish(self._snapshot)

    def close(self) -> None:
        """Let others write, once a merge that is going on has ended."""
        if self._thread is not None:
            self._thread.join()
        if self._lock is not None:
            self._lock.release()

    def put(
        self,
        documents: Iterable[Document],
        *,
        replace: bool,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Add documents, in one commit, and return how many.

        Args:
            documents: each id once.
            replace: delete the documents that have their ids now; otherwise there must be none.
            progress: called now and then with the number of documents done.

        Raises:
            DuplicateIdError: when an id comes twice, or is in the index and may not be replaced.
            StorageError: when the system does not let it be written; nothing has changed.

        """
        with self._change():
            gone: list[int] = []
            stream = self._check(documents, gone, replace)
            name = write_segment(self._storage, stream, self._encoder, progress=progress)
            added = self._open(name)
            if len(added):
                self._commit([*self._without(gone), added.record])
            else:
                self._storage.remove(name)
        self._merge_behind()
        return len(added)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents, in one commit, and return how many there were.

        Raises:
            StorageError: when the system does not let it be written; nothing has changed.

        """
        with self._change():
            numbers = {self._snapshot.find(id) for id in ids} - {-1}
            if numbers:
                self._commit(self._without(sorted(numbers)))
        self._merge_behind()
        return len(numbers)

    def merge(self) -> None:
        """Join all segments into one without deleted documents, now."""
        with self._merging:
            segments = self._snapshot.segments
            if len(segments) > 1 or any(segment.deletions for segment in segments):
                self._merge(segments)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Change the index alone; what was written for a change that failed is removed."""
        with self._changing:
            try:
                yield
            except BaseException:
                self._storage.sweep({*self._snapshot.manifest.names(), self._target})
                raise

    def _check(
        self, documents: Iterable[Document], gone: list[int], replace: bool
    ) -> Iterator[Document]:
        """Pass documents on, noting the numbers of those that they replace."""
        for document in check_documents(documents):
            number = self._snapshot.find(document.id)
            if number >= 0:
                if not replace:
                    raise DuplicateIdError(
                        f"expected a new id, found {document.id!r}, which is in the index; "
                        "update it instead, or delete it first"
                    )
                gone.append(number)
            yield document

    def _without(self, gone: Iterable[int]) -> list[SegmentRecord]:
        """Return the segments as they are without some documents, given by their numbers."""
        numbers: dict[Segment, list[int]] = defaultdict(list)
        for number in gone:
            segment, local = self._snapshot.locate(number)
            numbers[segment].append(local)
        records = []
        for segment in self._snapshot.segments:
            if segment not in numbers:
                records.append(segment.record)
            elif len(numbers[segment]) < segment.totals.documents:
                records.append(self._delete(segment, numbers[segment]))
        return records

    def _delete(self, segment: Segment, numbers: Sequence[int]) -> SegmentRecord:
        name = write_deletes(self._storage, segment, numbers, self._encoder)
        return SegmentRecord(segment.record.file, self._storage.record(name))

    def _open(self, name: str) -> Segment:
        record = SegmentRecord(self._storage.record(name))
        return Segment(record, self._storage.read(record.file), None)

    def _commit(self, records: Iterable[SegmentRecord]) -> None:
        try:
            self._storage.commit(self._snapshot.manifest.next(tuple(records)))
        finally:  # what stands in the storage is the truth, even if the commit says that it failed
            self._snapshot = load_snapshot(self._storage, self._snapshot.scoring, self._snapshot)
            self._publish(self._snapshot)

    def _merge_behind(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        if segments_to_merge(self._snapshot.segments) is not None:
            self._thread = threading.Thread(target=self._merge_by_policy, name="bm25-merge")
            self._thread.start()

    def _merge_by_policy(self) -> None:
        with self._merging:
            segments = self._snapshot.segments
            while (which := segments_to_merge(segments)) is not None:
                try:
                    self._merge(segments[which.start : which.stop])
                except StorageError as error:
                    # The index is whole and searchable without it; the next change tries again.
                    _log.warning("segments could not be merged: %s", error)
                    return
                segments = self._snapshot.segments

    def _merge(self, sources: Sequence[Segment]) -> None:
        self._target = name = self._storage.new_name("segment")
        merge_segments(self._storage, name, sources)
        with self._change():
            self._target = ""
            now = {segment.record.file: segment for segment in self._snapshot.segments}
            gone = deleted_during_merge(sources, [now.get(s.record.file) for s in sources])
            merged = self._open(name)
            if len(gone) == len(merged):
                self._storage.remove(name)
                return
            record = self._delete(merged, gone) if gone else merged.record
            self._commit(replaced(self._snapshot.segments, sources, record))
