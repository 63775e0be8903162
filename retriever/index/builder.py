"""Documents -> one segment, streamed: what is held in memory does not grow with the texts.

Texts go to the segment's file as they come. Term ids are collected until they fill the memory
that they may take, then inverted and written as a run; the runs are joined at the end. With more
than one thread, documents are read in the one that calls, while texts are compressed in a second
and analysed in a third, and then as many as are allowed invert. The segment is the same to the bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.retriever.corpus.documents import Document
from twopass.retriever.index.arrays import ArraySink
from twopass.retriever.index.document_store import DocumentWriter
from twopass.retriever.index.fields import DocumentEncoder
from twopass.retriever.index.metadata import ColumnWriter
from twopass.retriever.index.postings import Postings, invert_documents, merge_postings
from twopass.retriever.index.segment import allocator, put_index
from twopass.retriever.index.storage import Storage

__all__ = ["RUN_TERMS", "write_segment"]

RUN_TERMS = 50_000_000
"""How many term ids are held in memory before they are written as a run: 200 MB, and about three
times that while they are inverted."""

_BATCH_DOCUMENTS = 8192
_BATCH_CHARACTERS = 8_000_000
_AHEAD = 2  # batches that wait for being analysed

Encoded: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int64]]
"""What ``DocumentEncoder.encode`` returns."""


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
        threads: how many work at a time, about.
        run_terms: how many term ids are held in memory.
        progress: called with the number of documents done so far.

    """
    name = storage.new_name("segment")
    with ExitStack() as stack:
        workers = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(2 * (threads > 1))]
        sink = stack.enter_context(storage.write(name))
        builder = _Builder(storage, sink, encoder, run_terms, threads, *workers)
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
        threads: int,
        compressing: Executor | None = None,
        analysing: Executor | None = None,
    ) -> None:
        self.documents = DocumentWriter(sink, compressing)
        self._columns = ColumnWriter()
        self._storage = storage
        self._sink = sink
        self._encoder = encoder
        self._limit = limit
        self._threads = threads
        self._pool = analysing
        self._encoding: deque[Future[Encoded]] = deque()
        self._parts: list[Encoded] = []
        self._held = 0
        self._runs: list[str] = []

    def add(self, batch: Sequence[Document]) -> None:
        if self._pool is not None:
            self._encoding.append(self._pool.submit(self._encoder.encode, batch))
        number = len(self.documents)
        self.documents.extend(batch)
        for i, document in enumerate(batch, number):
            if document.metadata:
                self._columns.add(i, document.metadata)
        if self._pool is None:
            self._hold(self._encoder.encode(batch))
        while len(self._encoding) > _AHEAD:
            self._hold(self._encoding.popleft().result())

    def finish(self) -> None:
        while self._encoding:
            self._hold(self._encoding.popleft().result())
        inverting = self._pool and self._pool.submit(self._invert)
        self.documents.finish()
        self._columns.finish(self._sink)
        postings, used = inverting.result() if inverting else self._invert()
        if self._runs:
            postings, used = self._join(postings, used)
        vocabulary = self._encoder.vocabulary
        put_index(self._sink, postings, [vocabulary[i] for i in used.tolist()])
        for name in self._runs:
            self._storage.remove(name)

    def _hold(self, part: Encoded) -> None:
        self._parts.append(part)
        self._held += len(part[0])
        if self._held >= self._limit:
            self._write_run()

    def _invert(self) -> tuple[Postings, NDArray[np.int32]]:
        """Return the postings of what is held, and the encoder's ids of their terms."""
        parts, self._parts, self._held = self._parts, [], 0
        n_terms = len(self._encoder.vocabulary)
        return _of_used(invert_documents(parts, n_terms, threads=self._threads))

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


def _of_used(postings: Postings) -> tuple[Postings, NDArray[np.int32]]:
    """Leave out the terms without postings; return also the ids of those that are left."""
    used = np.flatnonzero(postings.df).astype(np.int32)
    if len(used) == postings.n_terms:
        return postings, used
    rows = np.append(used, postings.n_terms)  # a term without postings ends where it starts
    left = replace(
        postings,
        starts=postings.starts[rows],
        frontier_starts=postings.frontier_starts[rows],
        column_terms=np.searchsorted(used, postings.column_terms).astype(np.int32),
    )
    return left, used


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
