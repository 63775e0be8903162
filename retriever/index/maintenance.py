"""Upkeep of segments: deleting documents, and merging small segments.

The segment itself does not change. Which terms a document had is found by analysing its stored
text again.

The policy: segments are sorted into tiers by how many documents live in them, up to 1,000, 10,000,
100,000 and so on. Ten neighbours of a tier, with smaller ones between them, are joined into one.
So a search visits at most nine segments a tier, documents keep their order, and beyond the
smallest tier, where a merge takes milliseconds, each is copied about once a tier. A segment of
which more than a quarter was deleted is written again without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.errors import CorruptIndexError
from twopass.retriever.index.document_store import DocumentWriter, unpack_metadata
from twopass.retriever.index.fields import DocumentEncoder
from twopass.retriever.index.manifest import SegmentRecord
from twopass.retriever.index.metadata import ColumnWriter
from twopass.retriever.index.postings import merge_postings
from twopass.retriever.index.segment import Segment, Totals, allocator, put_index, put_totals
from twopass.retriever.index.storage import Storage

__all__ = [
    "deleted_during_merge",
    "merge_segments",
    "replaced",
    "segments_to_merge",
    "write_deletes",
]


_BATCH = 4096


def write_deletes(
    storage: Storage, segment: Segment, numbers: Sequence[int], encoder: DocumentEncoder
) -> str:
    """Write which documents are gone now, those deleted earlier included; return the file's name.

    Args:
        storage: where it goes.
        segment: as it is before.
        numbers: (d,) living documents of it.
        encoder: as it made the segment.

    Raises:
        CorruptIndexError: when a document's terms are not those that the segment was made of, or
            the earlier deletions are damaged.

    """
    if segment.deletions is not None:
        segment.deletions.verify()
    alive = np.ones(len(segment), np.bool_) if segment.alive is None else segment.alive.copy()
    alive[list(numbers)] = False
    lost = np.zeros(len(segment.terms), np.int32)
    if segment.deletions is not None:
        lost[segment.deletions.terms] = segment.deletions.counts
    for terms in _terms(segment, numbers, encoder):
        lost[terms] += 1
    name = storage.new_name("deletes")
    with storage.write(name) as sink:
        sink.put("alive", np.packbits(alive))
        sink.put("terms", np.flatnonzero(lost).astype(np.int32))
        sink.put("counts", lost[lost > 0])
        put_totals(sink, Totals.of(segment.postings.lengths[alive]))
    return name


def _terms(
    segment: Segment, numbers: Sequence[int], encoder: DocumentEncoder
) -> Iterator[NDArray[np.int64]]:
    """Yield the segment's numbers of each document's distinct terms."""
    known: dict[int, int] = {}
    for start in range(0, len(numbers), _BATCH):
        batch = numbers[start : start + _BATCH]
        ids, offsets = encoder.encode([segment.documents.document(n) for n in batch])
        vocabulary = encoder.vocabulary
        for id in np.unique(ids).tolist():
            if id not in known:
                known[id] = _number(segment, vocabulary[id])
        for begin, end in pairwise(offsets.tolist()):
            yield np.array([known[id] for id in set(ids[begin:end].tolist())], np.int64)


def _number(segment: Segment, term: str) -> int:
    number = segment.terms.find(term)
    if number < 0:
        raise CorruptIndexError(
            f"a stored document gives the term {term!r}, which its segment lacks: the analyser is "
            "not the one that built it; register that one again, or build the index again"
        )
    return number


_NEIGHBOURS = 10
_SMALLEST = 1000
_DELETED_SHARE = 0.25


def segments_to_merge(segments: Sequence[Segment]) -> range | None:
    """Return which neighbouring segments the policy joins next, or ``None``."""
    tiers = [_tier(segment) for segment in segments]
    for tier in sorted(set(tiers)):
        first = max((i + 1 for i, other in enumerate(tiers) if other > tier), default=0)
        last = max(i for i, other in enumerate(tiers) if other == tier)
        if last - first + 1 >= _NEIGHBOURS:
            return range(first, last + 1)
    for i, segment in enumerate(segments):
        if segment.totals.documents < len(segment) * (1 - _DELETED_SHARE):
            return range(i, i + 1)
    return None


def _tier(segment: Segment) -> int:
    tier, limit = 0, _SMALLEST
    while segment.totals.documents > limit:
        tier, limit = tier + 1, limit * 10
    return tier


def merge_segments(storage: Storage, name: str, segments: Sequence[Segment]) -> None:
    """Write the living documents of segments as one of this name, in their order.

    Raises:
        CorruptIndexError: when a segment is damaged, which new checksums would hide.

    """
    for segment in segments:
        segment.verify()
    with storage.write(name) as sink:
        documents, columns = DocumentWriter(sink), ColumnWriter()
        for segment in segments:
            _copy_documents(segment, documents, columns)
        documents.finish()
        columns.finish(sink)
        terms, maps = _join_terms(segments)
        postings = merge_postings(
            [segment.postings for segment in segments],
            maps,
            [segment.alive for segment in segments],
            len(terms),
            allocator(sink),
        )
        put_index(sink, postings, terms)


def replaced(
    segments: Sequence[Segment], sources: Sequence[Segment], merged: SegmentRecord
) -> list[SegmentRecord]:
    """Return the segments with the merged one in the place of its sources."""
    files = {source.record.file for source in sources}
    records = [segment.record for segment in segments]
    first = next(i for i, record in enumerate(records) if record.file in files)
    records[first] = merged
    return [record for record in records if record.file not in files]


def deleted_during_merge(before: Sequence[Segment], after: Sequence[Segment | None]) -> list[int]:
    """Return which documents of the merged segment were deleted since the merge began."""
    gone = []
    for old, new in zip(before, after, strict=True):
        lived = np.ones(len(old), np.bool_) if old.alive is None else old.alive
        if new is None:  # none of its documents is left
            lives = np.zeros(len(old), np.bool_)
        else:
            lives = lived if new.alive is None else new.alive
        gone.append(~lives[lived])
    return np.flatnonzero(np.concatenate(gone)).tolist()


def _copy_documents(segment: Segment, documents: DocumentWriter, columns: ColumnWriter) -> None:
    alive = segment.alive
    for number, id in enumerate(segment.documents.ids):
        if alive is None or alive[number]:
            frame = segment.documents.frame(number)
            columns.add(len(documents), unpack_metadata(frame))
            documents.add_frame(id, frame)


def _join_terms(segments: Sequence[Segment]) -> tuple[list[str], list[NDArray[np.int32]]]:
    """Return the terms that living documents have, and each old number's new one or -1."""
    numbers: dict[str, int] = {}
    maps = []
    for segment in segments:
        dfs = segment.dfs().tolist()
        maps.append(
            np.fromiter(
                (
                    numbers.setdefault(term, len(numbers)) if df else -1
                    for term, df in zip(segment.terms, dfs, strict=True)
                ),
                np.int32,
                len(dfs),
            )
        )
    return list(numbers), maps
