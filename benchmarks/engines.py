"""The BM25 engines of the benchmark, one interface; run as a process of its own for each job.

``python benchmarks/engines.py JOB`` reads a job (JSON) and prints its figures (JSON), so that an
engine's memory is its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from corpora import Corpus, Queries, texts_of

__all__ = ["ENGINES"]

Found = list[tuple[Any, Any]]  # each query's documents (numbers or ids; None: unknown) and scores

_BATCH = 64  # queries that a thread answers at a time


now = time.perf_counter  # a job may ask for time.process_time: processor time of all threads


class TwoPass:
    """Ours: documents' numbers and scores, without fetching ids and texts.

    Its index stores ids and texts, too.
    """

    lengths: ClassVar[str] = "exact"

    def build(self, texts: Sequence[str], folder: Path, analyzer: str, threads: int) -> float:
        from twopass.retriever.corpus.documents import Document
        from twopass.retriever.index.index import BM25Index

        BM25Index.build([Document("warm", "up")], analyzer=analyzer).search(["up"], 1)
        start = now()
        documents = (Document(str(i), text) for i, text in enumerate(texts))
        BM25Index.build(documents, folder, analyzer=analyzer, threads=threads)
        return now() - start

    def open(self, folder: Path, queries: Queries) -> None:
        from twopass.retriever.index.index import BM25Index
        from twopass.retriever.scoring import formula

        self._index = BM25Index.open(folder, scoring=formula("lucene", lengths=self.lengths))
        self._queries = [Counter(words) for words in queries.words()]

    def run(self, k: int, threads: int) -> Found:
        snapshot = self._index.snapshot

        def search(batch: Sequence[Counter[str]]) -> Found:
            return snapshot.search(batch, k)

        return _in_threads(search, self._queries, threads)


class TwoPassByteLengths(TwoPass):
    """Ours with Lucene's one-byte lengths, which tantivy has too."""

    lengths = "lucene-byte"


class TwoPassHits(TwoPass):
    """Ours as users call it: queries are analysed, ids and texts of all hits are fetched."""

    def open(self, folder: Path, queries: Queries) -> None:
        super().open(folder, queries)
        self._texts = [" ".join(words) for words in queries.words()]

    def run(self, k: int, threads: int) -> Found:
        found = self._index.search(self._texts, k, threads=threads)
        return [(hits.ids, hits.scores) for hits in found]


class Tantivy:
    """tantivy: nothing but term frequencies is stored, and matches are not counted."""

    stored: ClassVar[bool] = False

    def build(self, texts: Sequence[str], folder: Path, analyzer: str, threads: int) -> float:
        import tantivy

        folder.mkdir()
        tokenizer = {"whitespace": "whitespace", "english": "en_stem"}[analyzer]
        schema = tantivy.SchemaBuilder().add_text_field(
            "text", tokenizer_name=tokenizer, index_option="freq", stored=self.stored
        )
        if self.stored:
            schema = schema.add_text_field(
                "id", tokenizer_name="raw", index_option="basic", stored=True
            )
        start = now()
        index = tantivy.Index(schema.build(), str(folder))
        writer = index.writer(heap_size=256_000_000 * threads, num_threads=threads)
        for i, text in enumerate(texts):
            fields = {"text": text, "id": str(i)} if self.stored else {"text": text}
            writer.add_document(tantivy.Document(**fields))
        writer.commit()
        writer.wait_merging_threads()
        return now() - start

    def open(self, folder: Path, queries: Queries) -> None:
        import tantivy

        index = tantivy.Index.open(str(folder))
        self._searcher = index.searcher()
        # Its parser drops a word that comes again: a boost says how often it stands there.
        counts = map(Counter, queries.words())
        texts = [" ".join(f"{word}^{n}" for word, n in each.items()) for each in counts]
        self._queries = [index.parse_query(text, ["text"]) for text in texts]

    def run(self, k: int, threads: int) -> Found:
        def search(batch: Sequence[Any]) -> Found:
            found = [self._searcher.search(query, k, count=False).hits for query in batch]
            # tantivy multiplies by k1 + 1; its segments number documents in their own way.
            return [(None, [score / 2.2 for score, _ in hits]) for hits in found]

        return _in_threads(search, self._queries, threads)


class TantivyStored(Tantivy):
    """tantivy with what ours stores: each document's id, to find it by, and its text."""

    stored = True


class BM25S:
    """bm25s with its numba backend; terms are given as ids, and its index has no texts.

    It builds in one thread.
    """

    def build(self, texts: Sequence[str], folder: Path, analyzer: str, threads: int) -> float:
        import bm25s
        import Stemmer

        del threads
        if analyzer == "english":
            start = now()
            tokens = bm25s.tokenize(
                texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False
            )
        else:
            numbers: dict[str, int] = {}
            ids = [[numbers.setdefault(t, len(numbers)) for t in text.split()] for text in texts]
            tokens = (ids, numbers)
            start = now()
        engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
        engine.index(tokens, show_progress=False)
        engine.save(str(folder), show_progress=False)
        return now() - start

    def open(self, folder: Path, queries: Queries) -> None:
        import bm25s

        self._engine = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)
        self._engine.backend = "numba"
        vocabulary = self._engine.vocab_dict
        self._queries = [
            [vocabulary[word] for word in words if word in vocabulary] for words in queries.words()
        ]

    def run(self, k: int, threads: int) -> Found:
        found = self._engine.retrieve(
            self._queries, k=min(k, self._engine.scores["num_docs"]), show_progress=False,
            n_threads=threads,
        )  # fmt: skip
        return list(zip(found.documents, found.scores, strict=True))


class RankBM25:
    """rank-bm25's Okapi: it has no index on disk and scores every document."""

    def build(self, texts: Sequence[str], folder: Path, analyzer: str, threads: int) -> float:
        import rank_bm25

        del analyzer, threads
        start = now()
        rank_bm25.BM25Okapi([text.split() for text in texts])
        seconds = now() - start
        folder.mkdir()
        return seconds

    def open(self, folder: Path, queries: Queries) -> None:
        import rank_bm25

        documents = Corpus.load(folder.parent).documents()
        self._engine = rank_bm25.BM25Okapi([[f"t{i}" for i in terms] for terms in documents])
        self._queries = queries.words()[:20]

    def run(self, k: int, threads: int) -> Found:
        def search(batch: Sequence[list[str]]) -> Found:
            found = []
            for words in batch:
                scores = self._engine.get_scores(words)
                best = np.argsort(-scores)[:k]
                found.append((best, scores[best]))
            return found

        return _in_threads(search, self._queries, threads)


ENGINES = {
    "twopass": TwoPass,
    "twopass, hits with texts": TwoPassHits,
    "twopass, byte lengths": TwoPassByteLengths,
    "bm25s": BM25S,
    "tantivy": Tantivy,
    "tantivy, texts stored": TantivyStored,
    "rank-bm25": RankBM25,
}


def build(job: dict[str, Any]) -> dict[str, Any]:
    if job["analyzer"] == "english":
        texts = texts_of(job["collection"])[0]
    else:
        texts = list(Corpus.load(Path(job["corpus"])).texts())
    _keep_to(job["threads"])
    folder = Path(job["folder"])
    shutil.rmtree(folder, ignore_errors=True)  # of another number of threads
    seconds = ENGINES[job["engine"]]().build(texts, folder, job["analyzer"], job["threads"])
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"seconds": seconds, "bytes": size}


def _keep_to(cores: int) -> None:
    """Use so many cores: an engine's writer works beside the thread that feeds it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def query(job: dict[str, Any]) -> dict[str, Any]:
    engine = ENGINES[job["engine"]]()
    queries = Queries.load(Path(job["corpus"]))
    start = now()
    engine.open(Path(job["folder"]), queries)
    opened = now() - start
    rates = {}
    for k in job["ks"]:
        for threads in job["threads"]:
            rates[f"{k}/{threads}"] = _rate(engine.run, k, threads, job["seconds"])
    found = engine.run(max(job["ks"]), 1)[: job["check"]]
    return {
        "open_s": opened,
        "rates": rates,
        "scores": [list(map(float, scores)) for _, scores in found],
        "numbers": [None if rows is None else list(map(int, rows)) for rows, _ in found],
        "peak": _peak(),
    }


def _rate(run: Callable[[int, int], Found], k: int, threads: int, seconds: float) -> float:
    """Return queries a second: the best pass of those that fit the time, after one to warm up."""
    n = len(run(k, threads))
    best, end = float("inf"), now() + seconds
    while now() < end or best == float("inf"):
        start = now()
        run(k, threads)
        best = min(best, now() - start)
    return n / best


def _in_threads(
    search: Callable[[Sequence[Any]], Found], queries: Sequence[Any], threads: int
) -> Found:
    parts = [queries[i : i + _BATCH] for i in range(0, len(queries), _BATCH)]
    if threads == 1:
        return list(chain.from_iterable(map(search, parts)))
    with ThreadPoolExecutor(threads) as pool:
        return list(chain.from_iterable(pool.map(search, parts)))


def _peak() -> int:
    # Not getrusage: a process inherits its parent's maximum there.
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    if job.get("clock") == "processor":
        now = time.process_time
    print(json.dumps({"build": build, "query": query}[job["what"]](job)))
