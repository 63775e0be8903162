"""Deleting documents of a segment: a new bitmap, and what each term lost, exactly.

The segment itself does not change. Which terms a document had is found by analysing its stored
text again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retriever.base import CorruptIndexError
from retriever.bm25.fields import DocumentEncoder
from retriever.bm25.segment import Segment, Totals, put_totals
from retriever.bm25.storage import Storage

__all__ = ["write_deletes"]

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
        CorruptIndexError: when a document's terms are not those that the segment was made of.

    """
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
