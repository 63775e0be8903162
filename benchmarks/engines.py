"""The BM25 engines of the benchmark, one interface; run as a process of its own for each job.

``python benchmarks/engines.py JOB`` reads a job (JSON) and prints its figures (JSON), so that an
engine's memory is its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from corpora import Corpus, texts_of

__all__ = ["ENGINES"]

T = TypeVar("T")
Scores = list[list[float]]


class Clock:
    """Times a build without the time in which its input is made."""

    def __init__(self) -> None:
        self._input = 0.0
        self._start = time.perf_counter()

    def feed(self, items: Iterable[T]) -> Iterator[T]:
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            item = next(iterator, None)
            self._input += time.perf_counter() - start
            if item is None:
                return
            yield item

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start - self._input


class TwoPass:
    """Ours: ``retriever.BM25Index``; its size includes the documents' texts."""

    lengths: ClassVar[str] = "exact"

    def build(self, texts: Iterable[str], folder: Path, analyzer: str, threads: int) -> float:
        from retriever.bm25.index import BM25Index
        from retriever.documents import Document

        BM25Index.build([Document("warm", "up")], analyzer=analyzer).search(["up"], 1)
        clock = Clock()
        documents = (Document(str(i), text) for i, text in enumerate(clock.feed(texts)))
        BM25Index.build(documents, folder, analyzer=analyzer, threads=threads)
        return clock.seconds

    def open(self, folder: Path, corpus: Corpus) -> None:
        from retriever.bm25.index import BM25Index
        from retriever.scoring import formula

        self._index = BM25Index.open(folder, scoring=formula("lucene", lengths=self.lengths))
        self._queries = [Counter(f"t{i}" for i in terms) for terms in corpus.query_terms()]

    def run(self, k: int, threads: int) -> Scores:
        snapshot = self._index.snapshot

        def search(terms: Counter[str]) -> list[float]:
            return snapshot.search(terms, k)[1]

        return _in_threads(search, self._queries, threads)


class TwoPassByteLengths(TwoPass):
    """Ours with Lucene's one-byte lengths, which tantivy has too."""

    lengths = "lucene-byte"


class Tantivy:
    """tantivy: neither texts nor positions are stored, and matches are not counted."""

    def build(self, texts: Iterable[str], folder: Path, analyzer: str, threads: int) -> float:
        import tantivy

        folder.mkdir()
        tokenizer = {"whitespace": "whitespace", "english": "en_stem"}[analyzer]
        schema = tantivy.SchemaBuilder().add_text_field(
            "text", tokenizer_name=tokenizer, index_option="freq"
        )
        clock = Clock()
        index = tantivy.Index(schema.build(), str(folder))
        writer = index.writer(heap_size=256_000_000 * threads, num_threads=threads)
        for text in clock.feed(texts):
            writer.add_document(tantivy.Document(text=text))
        writer.commit()
        writer.wait_merging_threads()
        return clock.seconds

    def open(self, folder: Path, corpus: Corpus) -> None:
        import tantivy

        index = tantivy.Index.open(str(folder))
        self._searcher = index.searcher()
        self._queries = [
            index.parse_query(" ".join(f"t{i}" for i in terms), ["text"])
            for terms in corpus.query_terms()
        ]

    def run(self, k: int, threads: int) -> Scores:
        def search(query: Any) -> list[float]:
            hits = self._searcher.search(query, k, count=False).hits
            return [score / 2.2 for score, _ in hits]  # tantivy multiplies by k1 + 1

        return _in_threads(search, self._queries, threads)


class BM25S:
    """bm25s with its numba backend; terms are given as ids, and its index has no texts."""

    def build(self, texts: Iterable[str], folder: Path, analyzer: str, threads: int) -> float:
        import bm25s
        import Stemmer

        del threads  # it builds in one
        if analyzer == "english":
            clock = Clock()
            given = list(clock.feed(texts))
            tokens = bm25s.tokenize(
                given, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False
            )
        else:
            numbers: dict[str, int] = {}
            ids = [[numbers.setdefault(t, len(numbers)) for t in text.split()] for text in texts]
            tokens = (ids, numbers)
            clock = Clock()
        engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
        engine.index(tokens, show_progress=False)
        engine.save(str(folder), show_progress=False)
        return clock.seconds

    def open(self, folder: Path, corpus: Corpus) -> None:
        import bm25s

        self._engine = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)
        self._engine.backend = "numba"
        vocabulary = self._engine.vocab_dict
        self._queries = [
            [vocabulary[f"t{i}"] for i in terms if f"t{i}" in vocabulary]
            for terms in corpus.query_terms()
        ]

    def run(self, k: int, threads: int) -> Scores:
        found = self._engine.retrieve(
            self._queries, k=min(k, self._engine.scores["num_docs"]), show_progress=False,
            n_threads=threads,
        )  # fmt: skip
        return list(found.scores)


class RankBM25:
    """rank-bm25's Okapi: it has no index on disk and scores every document."""

    def build(self, texts: Iterable[str], folder: Path, analyzer: str, threads: int) -> float:
        import rank_bm25

        del analyzer, threads
        clock = Clock()
        rank_bm25.BM25Okapi([text.split() for text in clock.feed(texts)])
        folder.mkdir()
        return clock.seconds

    def open(self, folder: Path, corpus: Corpus) -> None:
        import rank_bm25

        del folder
        self._engine = rank_bm25.BM25Okapi(list(corpus.documents()))
        self._queries = corpus.query_terms()[:20]

    def run(self, k: int, threads: int) -> Scores:
        def search(terms: list[int]) -> list[float]:
            return list(np.sort(self._engine.get_scores(terms))[::-1][:k])

        return _in_threads(search, self._queries, threads)


ENGINES = {
    "twopass": TwoPass,
    "twopass, byte lengths": TwoPassByteLengths,
    "bm25s": BM25S,
    "tantivy": Tantivy,
    "rank-bm25": RankBM25,
}


def build(job: dict[str, Any]) -> dict[str, Any]:
    if job["analyzer"] == "english":
        texts: Iterable[str] = texts_of(job["collection"])[0]
    else:
        texts = Corpus.load(Path(job["corpus"])).texts()
    folder = Path(job["folder"])
    seconds = ENGINES[job["engine"]]().build(texts, folder, job["analyzer"], job["threads"])
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"seconds": seconds, "bytes": size}


def query(job: dict[str, Any]) -> dict[str, Any]:
    corpus = Corpus.load(Path(job["corpus"]))
    engine = ENGINES[job["engine"]]()
    # The corpus is of no use to an engine on disk: its memory is not the engine's.
    if job["engine"] != "rank-bm25":
        queries = corpus.queries, corpus.query_offsets
        corpus = Corpus(corpus.name, np.empty(0, np.int32), np.zeros(1, np.int64), 0, *queries)
    before = _memory("VmRSS")
    start = time.perf_counter()
    engine.open(Path(job["folder"]), corpus)
    opened = time.perf_counter() - start
    rates = {}
    for k in job["ks"]:
        for threads in job["threads"]:
            rates[f"{k}/{threads}"] = _rate(engine.run, k, threads, job["seconds"])
    scores = [list(map(float, row)) for row in engine.run(max(job["ks"]), 1)[: job["check"]]]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory = _memory("VmRSS")
    return {
        "open_s": opened, "rates": rates, "scores": scores,
        "peak": peak, "before": before, "after": memory,
    }  # fmt: skip


def _rate(run: Callable[[int, int], Scores], k: int, threads: int, seconds: float) -> float:
    """Return queries a second: the best pass of those that fit the time, after one to warm up."""
    n = len(run(k, threads))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        run(k, threads)
        best = min(best, time.perf_counter() - start)
    return n / best


def _in_threads(search: Callable[[Any], Any], queries: list[Any], threads: int) -> list[Any]:
    if threads == 1:
        return [search(query) for query in queries]
    parts = [queries[i::threads] for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda part: [search(query) for query in part], parts))
    return [found[i % threads][i // threads] for i in range(len(queries))]


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps({"build": build, "query": query}[job["what"]](job)))
