"""A corpus, or a share of it, with judged queries; and the overlap between two splits."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twopass.pipeline.errors import TrainingDataError
from twopass.reranker.training.examples import Example
from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.corpus.documents import Document

__all__ = [
    "Collection",
    "Leaks",
    "find_leaks",
    "first_by_hash",
]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Documents, queries and one split's judgements.

    Attributes:
        name: folder and split, as ``nq-qed/train``.
        documents: in the corpus' order.
        queries: texts by id, of the judged queries only.
        qrels: judgements by document by query, of documents in the corpus only.

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
            share: share of the documents to use, by a hash of the id: a smaller share is part of a
                larger one.
            queries: number of queries, chosen by a hash of the id, among those with a relevant
                document in the share.

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
                "corpus, found none; use a larger share, or check that the ids of qrels/*.tsv "
                "are those of corpus.jsonl and queries.jsonl"
            )
        qrels = {q: grades for q, grades in judged.items() if q in kept}
        return cls(f"{path.name}/{split}", documents, {q: texts[q] for q in qrels}, qrels)

    def sample(self, queries: int | None) -> Collection:
        """Return the collection with this number of queries, chosen by a hash; None for all."""
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
    """Return this number of ids, chosen by a hash: independent of machine and order."""
    return sorted(ids, key=lambda id: (_hash(id), id))[:count]


def _hash(id: str) -> int:
    return zlib.crc32(id.encode("utf-8", "surrogatepass"))


_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Leaks:
    """Overlap between training and development data.

    Attributes:
        queries: shared queries, ignoring case and punctuation.
        passages: passages relevant for both a development and a training query.
        seen: passages relevant for a development query that occur anywhere in training.

    """

    queries: frozenset[str] = frozenset()
    passages: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.queries or self.passages)

    def account(self) -> str:
        """Return a sentence about it."""
        if not (self or self.seen):
            return "No query and no relevant passage of the development queries is in training."
        return (
            f"Training and development data share {len(self.queries)} queries, "
            f"{len(self.passages)} passages relevant in both, and {len(self.seen)} relevant "
            "development passages are anywhere in training."
        )

    def without(self, examples: Iterable[Example]) -> list[Example]:
        """Return the examples whose query and relevant passages are not shared."""
        return [
            e
            for e in examples
            if _plain(e.query) not in self.queries
            and not any(_plain(p) in self.passages for p in _relevant(e))
        ]


def find_leaks(examples: Sequence[Example], development: Iterable[Collection]) -> Leaks:
    """Compare the examples with queries and relevant documents of development splits."""
    queries, passages = set[str](), set[str]()
    for collection in development:
        queries |= {_plain(text) for text in collection.queries.values()}
        relevant = {d for g in collection.qrels.values() for d, grade in g.items() if grade > 0}
        passages |= {_plain(d.contents) for d in collection.documents if d.id in relevant}
    relevant_in_training = {_plain(p) for e in examples for p in _relevant(e)}
    read = {_plain(p) for e in examples for p in e.passages} if passages else set[str]()
    return Leaks(
        frozenset(queries & {_plain(e.query) for e in examples}),
        frozenset(passages & relevant_in_training),
        frozenset(passages & read),
    )


def _relevant(example: Example) -> list[str]:
    judged = zip(example.passages, example.labels, strict=False)
    return [passage for passage, label in judged if label > 0]


def _plain(text: str) -> str:
    """Return the lower-cased words, without punctuation and extra spaces."""
    return " ".join(_WORDS.findall(text.casefold()))
