"""A corpus with judged queries, whole or a share of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TrainingDataError
from retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from retriever.documents import Document

__all__ = ["Collection", "first_by_hash"]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Documents, queries and one split's judgements.

    Attributes:
        name: folder and split, as ``nq-qed/train``.
        documents: in the corpus' order.
        queries: texts by id, of the judged queries alone.
        qrels: judgements by document by query; of documents that are there alone.

    """

    name: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(
        cls, path: Path, split: str, *, share: float = 1.0, queries: int | None = None
    ) -> Collection:
        """Read a split of a folder in BEIR's layout.

        Args:
            path: the folder.
            split: the qrels' name.
            share: of the documents to take, by a hash of the id: a smaller share is part of a
                larger one.
            queries: how many to take, by a hash of the id; those without a relevant document that
                was taken do not count.

        Raises:
            CorpusError: when a file is missing or cannot be read.
            TrainingDataError: when no judged query is left.

        """
        folder = BeirFolder(path)
        limit = share * 2**32
        documents = tuple(d for d in read_documents(folder.corpus) if _hash(d.id) < limit)
        known = {document.id for document in documents}
        texts = read_queries(folder.queries)
        judged = {
            query: {d: grade for d, grade in grades.items() if d in known}
            for query, grades in read_qrels(folder.qrels(split)).items()
            if query in texts
        }
        useful = [q for q, grades in judged.items() if any(g > 0 for g in grades.values())]
        kept = set(useful if queries is None else first_by_hash(useful, queries))
        if not kept:
            raise TrainingDataError(
                f"{path}, split {split!r}: expected queries with a relevant document in the "
                "corpus, found none; take a larger share, or look whether the ids of qrels/*.tsv "
                "are those of corpus.jsonl and queries.jsonl"
            )
        qrels = {q: grades for q, grades in judged.items() if q in kept}
        return cls(f"{path.name}/{split}", documents, {q: texts[q] for q in qrels}, qrels)

    def sample(self, queries: int | None) -> Collection:
        """Return the same with so many queries, chosen by a hash of the id; all for None."""
        kept = self.qrels if queries is None else first_by_hash(self.qrels, queries)
        return Collection(
            self.name,
            self.documents,
            {query: self.queries[query] for query in kept},
            {query: self.qrels[query] for query in kept},
        )

    def contents(self) -> dict[str, str]:
        """Return each document's title and text, by id."""
        return {document.id: document.contents for document in self.documents}


def first_by_hash(ids: Iterable[str], count: int) -> list[str]:
    """Return so many ids, chosen by a hash: the same on every machine, and no matter the order."""
    return sorted(ids, key=lambda id: (_hash(id), id))[:count]


def _hash(id: str) -> int:
    return zlib.crc32(id.encode("utf-8", "surrogatepass"))
