"""What the BM25 benchmark runs on: documents and queries as term ids, saved for every engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["About", "Corpus", "Queries", "data_folder", "real", "texts_of", "zipf"]


@dataclass(frozen=True)
class Queries:
    """Queries over terms 0 and up.

    Attributes:
        terms: (x,) int32, the queries' terms one after another.
        offsets: (q + 1,) int64, query i has ``terms[offsets[i]:offsets[i + 1]]``.

    """

    terms: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def words(self) -> list[list[str]]:
        """Return each query's terms as ``Corpus.texts`` writes them."""
        words = [f"t{i}" for i in self.terms.tolist()]
        return [words[start:end] for start, end in pairwise(self.offsets.tolist())]

    @classmethod
    def load(cls, folder: Path) -> Queries:
        """Read what ``Corpus.save`` wrote, without the documents."""
        with np.load(folder / "queries.npz") as arrays:
            return cls(arrays["terms"], arrays["offsets"])


@dataclass(frozen=True)
class About:
    """What tables say of a corpus.

    Attributes:
        name: what it is called.
        n_docs: how many documents.
        occurrences: how many terms they have together.
        queries: how many are searched for.

    """

    name: str
    n_docs: int
    occurrences: int
    queries: int

    @classmethod
    def load(cls, folder: Path) -> About:
        """Read it of what ``Corpus.save`` wrote."""
        with np.load(folder / "documents.npz") as arrays:
            name, offsets = str(arrays["name"]), arrays["offsets"]
            return cls(name, len(offsets) - 1, int(offsets[-1]), len(Queries.load(folder)))


@dataclass(frozen=True)
class Corpus:
    """Documents over terms 0 to n_terms - 1, and queries.

    Attributes:
        name: what it is called in the tables.
        terms: (o,) int32, the documents' terms one after another.
        offsets: (n + 1,) int64, document i has ``terms[offsets[i]:offsets[i + 1]]``.
        n_terms: how many distinct terms there are at most.
        queries: what is searched for.

    """

    name: str
    terms: NDArray[np.int32]
    offsets: NDArray[np.int64]
    n_terms: int
    queries: Queries

    @property
    def n_docs(self) -> int:
        """How many documents."""
        return len(self.offsets) - 1

    def save(self, folder: Path) -> None:
        """Write documents and queries as two files."""
        np.savez(folder / "queries.npz", **vars(self.queries))
        np.savez(
            folder / "documents.npz",
            name=self.name, terms=self.terms, offsets=self.offsets, n_terms=self.n_terms,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Read what ``save`` wrote."""
        with np.load(folder / "documents.npz") as arrays:
            name, n_terms = str(arrays["name"]), int(arrays["n_terms"])
            return cls(name, arrays["terms"], arrays["offsets"], n_terms, Queries.load(folder))

    def documents(self) -> Iterator[list[int]]:
        """Yield each document's terms."""
        for i in range(self.n_docs):
            yield self.terms[self.offsets[i] : self.offsets[i + 1]].tolist()

    def texts(self) -> Iterator[str]:
        """Documents as words that a tokenizer at white space gives back."""
        words = [f"t{i}" for i in range(self.n_terms)]
        for terms in self.documents():
            yield " ".join([words[i] for i in terms])


def zipf(n_docs: int, *, n_queries: int = 1000, seed: int = 0) -> Corpus:
    """Draw documents whose words follow the Zipf-Mandelbrot law, and queries out of them.

    A word of rank r has a probability proportional to 1 / (r + 2.7), of 200,000 words. Lengths
    are log-normal with a mean near 50. A query is six distinct words of one random document:
    there is no stop list, so that one of its words stands in every fourth document or more.
    """
    rng = np.random.default_rng(seed)
    n_terms = 200_000
    cumulated = np.cumsum(1 / (np.arange(1, n_terms + 1) + 2.7))
    lengths = np.maximum(rng.lognormal(np.log(50) - 0.125, 0.5, n_docs), 1).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    terms = np.empty(offsets[-1], np.int32)
    for start in range(0, len(terms), 1 << 24):
        part = terms[start : start + (1 << 24)]
        part[:] = np.searchsorted(cumulated, rng.random(len(part)) * cumulated[-1])
    queries: list[NDArray[np.int32]] = []
    while len(queries) < n_queries:
        doc = rng.integers(n_docs)
        words = np.unique(terms[offsets[doc] : offsets[doc + 1]])
        if len(words) >= 6:
            queries.append(rng.choice(words, 6, replace=False))
    return Corpus(f"Zipf, {n_docs:,} documents", terms, offsets, n_terms, Queries(*_flat(queries)))


def real(name: str, *, max_queries: int = 1000) -> Corpus:
    """Read a collection in BEIR's layout and analyse it as English."""
    from twopass.retriever.analysis import get_analyzer

    texts, queries = texts_of(name)
    analyze = get_analyzer("english").terms
    numbers: dict[str, int] = {}

    def ids(text: str) -> list[int]:
        return [numbers.setdefault(term, len(numbers)) for term in analyze(text)]

    terms, offsets = _flat(map(ids, texts))
    asked = [found for found in map(ids, queries) if found][:max_queries]
    searched = Queries(*_flat(asked))
    return Corpus(f"{name}, {len(texts):,} documents", terms, offsets, len(numbers), searched)


def texts_of(name: str) -> tuple[list[str], list[str]]:
    """Return a collection's documents and its test (of squad: development) queries as text."""
    from twopass.retriever.corpus import read_documents, read_qrels, read_queries

    folder = data_folder() / name
    split = "dev" if name == "squad" else "test"
    judged = read_qrels(next(folder.glob(f"qrels/{split}.tsv*")))
    queries = next(folder.glob("queries.jsonl*"))
    return (
        [document.contents for document in read_documents(folder)],
        [text for id, text in read_queries(queries).items() if id in judged],
    )


def data_folder() -> Path:
    """Return where the collections stand: ``TWOPASS_DATA``, or beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("TWOPASS_DATA", beside))


def _flat(rows: Iterable[Iterable[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    arrays = [np.asarray(row, np.int32) for row in rows]
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return np.concatenate([*arrays, np.empty(0, np.int32)]), offsets
