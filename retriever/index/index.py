"""The in-process index."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from twopass.retriever.analysis import Analyzer, get_analyzer
from twopass.retriever.corpus.documents import Document, check_documents
from twopass.retriever.errors import QueryError
from twopass.retriever.filters import Filter
from twopass.retriever.hits import Hits
from twopass.retriever.index.fields import DocumentEncoder, FieldWeights
from twopass.retriever.index.manifest import FORMAT, Manifest, SegmentRecord
from twopass.retriever.index.requests import SearchRequest, answer, leaf_idfs, leaves_of
from twopass.retriever.index.snapshot import Snapshot, load_snapshot
from twopass.retriever.index.storage import FolderStorage, Storage
from twopass.retriever.query.language import Syntax
from twopass.retriever.scoring import Lucene, Scoring, describe, formula

if TYPE_CHECKING:
    from twopass.retriever.index.explanation import Explanation
    from twopass.retriever.index.writer import Writer
    from twopass.retriever.query.highlight import HighlightOptions

__all__ = ["BM25Index"]


class BM25Index:
    """An exact BM25 index in this process: on disk or in memory, searched from many threads.

    It is made by :meth:`build` and :meth:`open`.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        analyzer: Analyzer | None = None,
        scoring: Scoring | None = None,
    ) -> None:
        manifest = storage.manifest()
        self._storage = storage
        self._scoring = scoring or formula(**manifest.scoring)
        self._analyzer = analyzer or get_analyzer(manifest.analyzer)
        self._snapshot = load_snapshot(storage, self._scoring)
        self._writer: Writer | None = None
        self._opening = threading.Lock()

    @classmethod
    def build(
        cls,
        documents: Iterable[Document],
        path: str | os.PathLike[str] | None = None,
        *,
        analyzer: str | Analyzer = "english",
        scoring: Scoring = Lucene(),  # noqa: B008 - frozen
        weights: FieldWeights = FieldWeights(),  # noqa: B008 - frozen
        threads: int = 1,
        run_terms: int | None = None,
        overwrite: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Index documents, read as a stream.

        >>> index = BM25Index.build([Document("d1", "a tale of two cities")])
        >>> index.search(["city"], 10)[0].ids.tolist()
        ['d1']

        Args:
            documents: each id once.
            path: the folder to write; in memory when ``None``. Nothing stands under this name
                before everything is written.
            analyzer: text -> terms, by name or as an object. The index stores its name: one of
                your own must be registered again by whoever opens the index.
            scoring: the formula that searches use unless they name one; Elasticsearch's default.
            weights: how often title and text count.
            threads: for the analysis.
            run_terms: how many term ids are held in memory, at 4 bytes each and about three times
                that while they are sorted, before they are set aside on the disk; ``None`` for
                50 million.
            overwrite: replace an index that stands there, once the new one is whole.
            progress: called now and then with the number of documents done.

        Raises:
            DuplicateIdError: when an id comes twice.
            CorpusError: when a document's metadata are no JSON values.
            IndexExistsError: when something stands at ``path``.
            StorageError: when it cannot be written.

        """
        from twopass.retriever.index.builder import RUN_TERMS, write_segment
        from twopass.retriever.index.creation import MemoryStorage, new_folder

        how = get_analyzer(analyzer)
        empty = Manifest(how.spec(), describe(scoring), weights)
        encoder = DocumentEncoder(how, weights, threads=threads)

        def fill(storage: Storage) -> tuple[SegmentRecord, ...]:
            name = write_segment(
                storage,
                check_documents(documents),
                encoder,
                threads=threads,
                run_terms=run_terms or RUN_TERMS,
                progress=progress,
            )
            return (SegmentRecord(storage.record(name)),)

        if path is None:
            memory = MemoryStorage(empty)
            memory.commit(empty.next(fill(memory)))
            return cls(memory, analyzer=how)
        folder = new_folder(Path(path), empty, fill, overwrite=overwrite)
        return cls(folder, analyzer=how)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, scoring: Scoring | None = None) -> Self:
        """Open an index folder; its arrays are mapped, not read.

        Args:
            path: the folder.
            scoring: another formula, or other parameters, than the index was built with.

        Raises:
            NotAnIndexError: when there is none.
            FormatError: when another version wrote it.
            CorruptIndexError: when it is damaged.

        """
        return cls(FolderStorage(Path(path)), scoring=scoring)

    @property
    def analyzer(self) -> Analyzer:
        """What turns documents and queries into terms."""
        return self._analyzer

    @property
    def snapshot(self) -> Snapshot:
        """The commit that searches see."""
        return self._snapshot

    def warm(self) -> None:
        """Do now what the first search would wait for: load the machine code, weigh the postings.

        The first time on a machine the loops are compiled, in some seconds, and kept.
        """
        self._snapshot.warm()

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        filter: Filter | None = None,
        syntax: Syntax = "plain",
        threads: int = 1,
    ) -> list[Hits]:
        """Return the best ``k`` documents of each query: see ``Retriever.search``.

        Args:
            queries: (q,) the queries' texts.
            k: how many documents at most, a query; at least 1.
            filter: only documents that match it are considered.
            syntax: how the texts are read; see ``twopass.retriever.query.language``.
            threads: how many queries are answered at a time.

        Raises:
            QueryError: when a query or the filter cannot be understood.

        """
        if isinstance(queries, str):
            raise QueryError("queries: expected a list of strings, found one string; put it in []")
        requests = [SearchRequest(query, k, filter, syntax) for query in queries]
        return self.msearch(requests, threads=threads)

    def msearch(self, requests: Sequence[SearchRequest], *, threads: int = 1) -> list[Hits]:
        """Answer searches that differ in more than their text, all from the same commit."""
        return answer(self._snapshot, self._analyzer, requests, threads)

    def explain(self, query: str, id: str, *, syntax: Syntax = "plain") -> Explanation:
        """Explain a document's score for a query: every term's statistics and contribution.

        Raises:
            KeyError: when no document has this id.
            QueryError: when the query cannot be understood.

        """
        from twopass.retriever.index.explanation import explain

        snapshot = self._snapshot
        leaves = leaves_of(query, syntax, self._analyzer)
        return explain(snapshot, self._analyzer, leaves, _number(snapshot, id))

    def highlight(
        self,
        query: str,
        text: str,
        *,
        syntax: Syntax = "plain",
        **options: Unpack[HighlightOptions],
    ) -> list[str]:
        """Return the fragments of a text that show best how it matches a query.

        Args:
            query: the query's text.
            text: of any document, such as one of ``Hits.texts``.
            syntax: how the query is read.
            options: see ``twopass.retriever.query.highlight.highlight``.

        Raises:
            QueryError: when the query cannot be understood.

        """
        from twopass.retriever.query.highlight import highlight

        idfs = leaf_idfs(self._snapshot, leaves_of(query, syntax, self._analyzer))
        return highlight(text, idfs, self._analyzer, weights=idfs, **options)

    def get(self, id: str) -> Document:
        """Return the document with this id.

        Raises:
            KeyError: when there is none.

        """
        snapshot = self._snapshot
        return snapshot.document(_number(snapshot, id))

    def documents(self) -> Iterator[Document]:
        """Yield all documents of the commit that searches see now, oldest first."""
        return self._snapshot.documents()

    def add(
        self, documents: Iterable[Document], *, progress: Callable[[int], None] | None = None
    ) -> int:
        """Add documents in one commit, and return how many.

        The first change makes this the index's only writer until it is closed.

        Args:
            documents: with ids that are new.
            progress: called now and then with the number of documents done.

        Raises:
            DuplicateIdError: when an id comes twice or is in the index.
            LockedError: when there is another writer.
            StorageError: when it cannot be written; the index is as it was before.

        """
        return self._writing().put(documents, replace=False, progress=progress)

    def update(
        self, documents: Iterable[Document], *, progress: Callable[[int], None] | None = None
    ) -> int:
        """Put documents in the place of those with their ids, or add them; as :meth:`add`."""
        return self._writing().put(documents, replace=True, progress=progress)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete documents by id in one commit, and return how many of them there were.

        Raises:
            QueryError: when the ids are not strings.
            LockedError: when there is another writer.
            StorageError: when it cannot be written; the index is as it was before.

        """
        if isinstance(ids, str):
            raise QueryError("ids: expected a list of ids, found one string; put it in []")
        ids = list(ids)
        for id in ids:
            if not isinstance(id, str):
                raise QueryError(f"ids: expected strings, found {type(id).__name__} {id!r:.80}")
        return self._writing().delete(ids)

    def merge(self) -> None:
        """Join all segments into one, without the deleted documents, now.

        It is never needed: segments are merged behind the changes, as ``bm25.merging`` says.

        Raises:
            LockedError: when there is another writer.
            StorageError: when it cannot be written; the index is as it was before.

        """
        self._writing().merge()

    def refresh(self) -> bool:
        """See the newest commit; return whether there was one."""
        with self._opening:
            before = self._snapshot
            if self._writer is None and self._storage.manifest() != before.manifest:
                self._snapshot = load_snapshot(self._storage, self._scoring, before)
            return self._snapshot is not before

    def close(self) -> None:
        """Let others write, once a merge that is going on has ended; one can still search."""
        with self._opening:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, id: str) -> bool:
        return self._snapshot.find(id) >= 0

    def __len__(self) -> int:
        return len(self._snapshot)

    def info(self) -> dict[str, Any]:
        """Describe the index, in JSON values.

        ``documents`` counts the living ones, ``deleted`` those whose place is not yet reclaimed,
        ``terms`` every occurrence of a term in the living ones, ``bytes`` all files.
        """
        snapshot, manifest = self._snapshot, self._snapshot.manifest
        return {
            "format": FORMAT,
            "generation": manifest.generation,
            "documents": len(snapshot),
            "deleted": sum(map(len, snapshot.segments)) - len(snapshot),
            "terms": snapshot.totals.length,
            "average_length": snapshot.average_length,
            "segments": len(snapshot.segments),
            "bytes": sum(record.size for record in manifest.files()),
            "analyzer": manifest.analyzer,
            "scoring": manifest.scoring,
            "weights": asdict(manifest.weights),
            "fields": sorted(snapshot.fields),
        }

    def verify(self) -> None:
        """Read every file of the index and compare it with its checksums.

        Raises:
            CorruptIndexError: naming the file and what is damaged in it.

        """
        for segment in self._snapshot.segments:
            segment.verify()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a copy of the index as a folder.

        Raises:
            IndexExistsError: when something stands there.
            StorageError: when it cannot be written.

        """
        from twopass.retriever.index.creation import new_folder
        from twopass.retriever.index.segment import copy_segment

        snapshot = self._snapshot

        def fill(storage: Storage) -> tuple[SegmentRecord, ...]:
            return tuple(copy_segment(segment, storage) for segment in snapshot.segments)

        empty = replace(snapshot.manifest, segments=(), generation=0)
        new_folder(Path(path), empty, fill, overwrite=overwrite)

    def _writing(self) -> Writer:
        from twopass.retriever.index.writer import Writer

        with self._opening:
            if self._writer is None:
                self._writer = Writer(self._storage, self._analyzer, self._scoring, self._see)
            return self._writer

    def _see(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot


def _number(snapshot: Snapshot, id: str) -> int:
    number = snapshot.find(id)
    if number < 0:
        raise KeyError(id)
    return number
