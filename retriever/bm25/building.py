"""Documents -> one segment, streamed: what is held in memory does not grow with the texts.

Texts go to the segment's file as they come. Term ids are collected until they fill the memory
that they may take, then inverted and written as a run; the runs are joined at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from retriever.bm25.columns import ColumnWriter
from retriever.bm25.fields import DocumentEncoder
from retriever.bm25.postings import Postings, build_postings, merge_postings
from retriever.bm25.segment import allocator, put_index
from retriever.bm25.sinks import ArraySink
from retriever.bm25.storage import Storage
from retriever.bm25.store import DocumentWriter
from retriever.documents import Document

__all__ = ["RUN_TERMS", "write_segment"]

RUN_TERMS = 50_000_000
"""How many term ids are held in memory before they are written as a run: 200 MB, and about three
times that while they are inverted."""

_BATCH_DOCUMENTS = 4096
_BATCH_CHARACTERS = 8_000_000


def write_segment(
    storage: Storage,
    documents: Iterable[Document],
    encoder: DocumentEncoder,
    *,
    threads: int = 1,
    run_terms: int = RUN_TERMS,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write documents as one segment, and return its name.

    Args:
        storage: where it goes.
        documents: each id once.
        encoder: what turns them into terms.
        threads: with more than one, texts are written while they are analysed.
        run_terms: how many term ids are held in memory.
        progress: called with the number of documents done so far.

    """
    name = storage.new_name("segment")
    with ThreadPoolExecutor(1) as pool, storage.write(name) as sink:
        builder = _Builder(storage, sink, encoder, run_terms, pool if threads > 1 else None)
        for batch in _batches(documents):
            builder.add(batch)
            if progress is not None:
                progress(len(builder.documents))
        builder.finish()
    return name


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) == _BATCH_DOCUMENTS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Builder:
    def __init__(
        self,
        storage: Storage,
        sink: ArraySink,
        encoder: DocumentEncoder,
        limit: int,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.documents = DocumentWriter(sink)
        self._columns = ColumnWriter()
        self._storage = storage
        self._sink = sink
        self._encoder = encoder
        self._limit = limit
        self._pool = pool
        self._ids: list[NDArray[np.int32]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._held = 0
        self._runs: list[str] = []

    def add(self, batch: Sequence[Document]) -> None:
        encoding = self._pool and self._pool.submit(self._encoder.encode, batch)
        for document in batch:
            if document.metadata:
                self._columns.add(len(self.documents), document.metadata)
            self.documents.add(document)
        ids, offsets = encoding.result() if encoding else self._encoder.encode(batch)
        self._ids.append(ids)
        self._lengths.append(np.diff(offsets))
        self._held += len(ids)
        if self._held >= self._limit:
            self._write_run()

    def finish(self) -> None:
        self.documents.finish()
        self._columns.finish(self._sink)
        postings, used = self._invert()
        if self._runs:
            postings, used = self._join(postings, used)
        vocabulary = self._encoder.vocabulary
        put_index(self._sink, postings, [vocabulary[i] for i in used.tolist()])
        for name in self._runs:
            self._storage.remove(name)

    def _invert(self) -> tuple[Postings, NDArray[np.int32]]:
        """Return the postings of what is held, and the encoder's ids of their terms."""
        ids = np.concatenate([np.empty(0, np.int32), *self._ids])
        offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._lengths]))
        self._ids, self._lengths, self._held = [], [], 0
        used, numbers = _renumber([ids], len(self._encoder.vocabulary))
        return build_postings(numbers[ids], offsets, len(used)), used

    def _write_run(self) -> None:
        postings, used = self._invert()
        name = self._storage.new_name("run")
        with self._storage.write(name) as sink:
            sink.put("used", used)
            for field in fields(Postings):
                sink.put(field.name, getattr(postings, field.name))
        self._runs.append(name)

    def _join(
        self, postings: Postings, used: NDArray[np.int32]
    ) -> tuple[Postings, NDArray[np.int32]]:
        runs = [self._storage.read(self._storage.record(name)) for name in self._runs]
        parts = [Postings(*(run[field.name] for field in fields(Postings))) for run in runs]
        terms = [*(run["used"] for run in runs), used]
        all_used, numbers = _renumber(terms, len(self._encoder.vocabulary))
        maps = [numbers[part] for part in terms]
        alive = [None] * len(maps)
        allocate = allocator(self._sink)
        joined = merge_postings([*parts, postings], maps, alive, len(all_used), allocate)
        return joined, all_used


def _renumber(
    ids: Sequence[NDArray[np.int32]], n: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return which of n ids occur, ascending, and the (n,) new number of each that does."""
    seen = np.zeros(n, np.bool_)
    for some in ids:
        seen[some] = True
    used = np.flatnonzero(seen).astype(np.int32)
    numbers = (np.cumsum(seen) - 1).astype(np.int32)
    return used, numbers
