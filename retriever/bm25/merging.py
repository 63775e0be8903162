"""Joining segments, and when to.

The policy: segments are sorted into tiers by how many documents live in them, up to 1,000, 10,000,
100,000 and so on. Ten neighbours of a tier, with smaller ones between them, are joined into one.
So a search visits at most nine segments a tier, documents keep their order, and beyond the
smallest tier, where a merge takes milliseconds, each is copied about once a tier. A segment of
which more than a quarter was deleted is written again without them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.columns import ColumnWriter
from retriever.bm25.manifest import SegmentRecord
from retriever.bm25.postings import merge_postings
from retriever.bm25.segment import Segment, allocator, put_index
from retriever.bm25.storage import Storage
from retriever.bm25.store import DocumentWriter, unpack_metadata

__all__ = ["deleted_meanwhile", "merge_segments", "replaced", "segments_to_merge"]

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
    """Write the living documents of segments as one of this name, in their order."""
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


def deleted_meanwhile(before: Sequence[Segment], after: Sequence[Segment | None]) -> list[int]:
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
