"""Where a cascade stands between quality and latency: nDCG@10 and time a query, by what is read.

    python benchmarks/cascade.py ../shared/data/scifact ../shared/models/e5-small-v2
        [--model twopass/default] [--split test] [--queries 50] [--depth 100] [--precision fp32]
        [--threads N]

Compares, on the same BM25 candidates: BM25 alone; the cross-encoder over the first N of them; the
encoder over all, its embeddings of passages stored beforehand; and cascades that give the
cross-encoder what the encoder likes best. Every pair is scored once: a configuration's quality is
that of exactly the pairs it reads, and its time is the encoder's measured time for the query and
its product with the passages, plus the measured mean time of a pair times the pairs that it reads.
Scores are used alone and fused with BM25's by the pipeline's default weights; unread candidates
follow in the order of the stage before.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import evaluate_runs
from pipeline.evaluation.runs import Entries, entries
from pipeline.fusion import Fusion, fusion, reranker
from pipeline.search import fuse
from pipeline.stages import Candidates, status_of
from reranker import BiEncoderScorer, CrossEncoder, Scores
from retriever.bm25.index import BM25Index
from retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from retriever.hits import Hits

KEPT = (5, 10, 20, 50, 100)


def cut(scores: NDArray[np.float32], by: NDArray[np.float32], keep: int) -> Scores:
    """Return the scores of the best by another column, beside that column."""
    values = np.full(len(scores), np.nan, dtype=np.float32)
    best = np.argsort(-by, kind="stable")[:keep]
    values[best] = scores[best]
    return Scores(values, "not read", columns={"before": by})


def configurations(
    hits: Hits, encoder: NDArray[np.float32], cross: NDArray[np.float32]
) -> Iterator[tuple[str, int, bool, Scores]]:
    """Yield name, pairs that the cross-encoder reads, whether the encoder runs, scores."""
    yield "encoder", 0, True, Scores(encoder)
    for keep in (kept for kept in KEPT if kept <= len(hits)):
        yield f"cross-encoder, {keep}", keep, False, cut(cross, hits.scores, keep)
        yield f"cascade, {keep}", keep, True, cut(cross, encoder, keep)


def ranked(hits: Hits, scores: Scores, how: Fusion) -> Entries:
    return entries(fuse(Candidates(hits, scores, status_of(scores), 0.0, 0.0), how, len(hits)))


def seconds_each(model: CrossEncoder, groups: list[list[tuple[str, str]]]) -> tuple[list, float]:
    """Score each query's candidates; the second is the mean time of a pair."""
    model.predict(groups[0][:8])  # warm
    started, scores = perf_counter(), []
    for number, group in enumerate(groups, 1):
        scores.append(model.predict(group))
        print(f"\r{number} of {len(groups)} queries", end="", flush=True)
    print("\r", end="")
    return scores, (perf_counter() - started) / sum(map(len, groups))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("--model", default="twopass/default")
    parser.add_argument("--split", default="test")
    parser.add_argument("--queries", type=int, default=50, help="a sample")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    folder = BeirFolder(options.data)
    index = BM25Index.build(read_documents(folder.corpus))
    texts, qrels = read_queries(folder.queries), read_qrels(folder.qrels(options.split))
    chosen = sorted(qrels)
    if len(chosen) > options.queries:
        chosen = random.Random(12).sample(chosen, options.queries)
    qrels = {query: qrels[query] for query in chosen}
    found = index.search([texts[query] for query in chosen], options.depth)
    groups = [
        [(texts[query], text) for text in hits.texts]
        for query, hits in zip(chosen, found, strict=True)
    ]
    with tempfile.TemporaryDirectory() as stored:
        passages = dict.fromkeys(text for hits in found for text in hits.texts)
        started = perf_counter()
        BiEncoderScorer(options.encoder).store(stored, passages)
        storing = (perf_counter() - started) / len(passages)
        encoder = BiEncoderScorer(options.encoder, stored=stored)
        encoder.predict([("warm", groups[0][0][1])])
        started = perf_counter()
        cheap = [encoder.predict(group) for group in groups]
        cheap_seconds = (perf_counter() - started) / len(groups)
    model = CrossEncoder(options.model, precision=options.precision)
    costly, pair_seconds = seconds_each(model, groups)
    runs: dict[str, dict[str, Entries]] = {"BM25": {}}
    times: dict[str, float] = {}
    weighted = fusion("weighted", weights=[0.3, 0.7])
    for query, hits, one, other in zip(chosen, found, cheap, costly, strict=True):
        runs["BM25"][query] = Entries(hits.ids, entries_scores(hits))
        for name, read, with_encoder, scores in configurations(hits, one, other):
            times[name] = read * pair_seconds + with_encoder * cheap_seconds
            runs.setdefault(name, {})[query] = ranked(hits, scores, reranker)
            runs.setdefault(f"{name}, fused", {})[query] = ranked(hits, scores, weighted)
    result = evaluate_runs(runs, qrels, measures=["nDCG@10"])
    print(
        f"{len(chosen)} queries of {options.data.name} {options.split}, depth {options.depth}; "
        f"{1000 * pair_seconds:.1f} ms a pair; encoder {1000 * cheap_seconds:.1f} ms a query, "
        f"{1000 * storing:.1f} ms a passage beforehand"
    )
    print(f"{'':24}{'ms':>8}{'alone':>9}{'fused':>9}")
    print(f"{'BM25':24}{0:8}{result.means('BM25')['nDCG@10']:9.4f}")
    for name in sorted(times, key=lambda name: times[name]):
        alone, both = (result.means(n)["nDCG@10"] for n in (name, f"{name}, fused"))
        print(f"{name:24}{1000 * times[name]:8.0f}{alone:9.4f}{both:9.4f}")


def entries_scores(hits: Hits) -> NDArray[np.float32]:
    from pipeline.evaluation.runs import strictly_decreasing

    return strictly_decreasing(hits.scores)


if __name__ == "__main__":
    main()
