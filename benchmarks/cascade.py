"""Where a cascade stands between quality and latency: nDCG@10 and time a query, by what is read.

    python benchmarks/cascade.py ../shared/data/scifact twopass/tiny --weights 0.1 0.2 0.7
        [--model twopass/default] [--split test] [--queries 50] [--depth 100] [--precision fp32]
        [--threads N]

The second argument is what chooses: a small cross-encoder, or an encoder of single texts. Compares,
on the same BM25 candidates: BM25 alone; the model over the first N of them; what chooses over all,
an encoder with its embeddings of passages stored beforehand; and cascades that give the model what
that likes best. Every pair is scored once: a configuration's quality is that of exactly the pairs
it reads, and its time is what choosing takes for a query, plus the measured mean time of a pair
times the pairs that the model reads. Scores are used alone and fused with BM25's, 0.3 to 0.7, or in
cascades by the three weights given; unread candidates follow in the order of the stage before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.apps.assembly.models import reads_pairs
from twopass.pipeline.candidates import Candidates, fuse, status_of
from twopass.pipeline.evaluation import evaluate_runs, open_collection
from twopass.pipeline.evaluation.runs import Entries, entries
from twopass.pipeline.fusion import Fusion, fusion, reranker
from twopass.reranker import BiEncoderScorer, CrossEncoder, Scores
from twopass.retriever.hits import Hits
from twopass.retriever.index.index import BM25Index

KEPT = (10, 20, 30, 50, 100)


def cut(scores: NDArray[np.float32], by: NDArray[np.float32], keep: int) -> Scores:
    """Return the scores of the best by another column, beside that column."""
    values = np.full(len(scores), np.nan, dtype=np.float32)
    best = np.argsort(-by, kind="stable")[:keep]
    values[best] = scores[best]
    return Scores(values, "not read", columns={"cheap": by})


def configurations(
    hits: Hits, cheap: NDArray[np.float32], costly: NDArray[np.float32]
) -> Iterator[tuple[str, int, bool, Scores]]:
    """Yield name, pairs that the model reads, whether what chooses runs, scores."""
    yield "what chooses, alone", 0, True, Scores(cheap)
    for keep in (kept for kept in KEPT if kept <= len(hits)):
        yield f"model, {keep}", keep, False, cut(costly, hits.scores, keep)
        yield f"cascade, {keep}", keep, True, cut(costly, cheap, keep)


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


def choose(name: str, groups: list[list[tuple[str, str]]]) -> tuple[list, float, str]:
    """Score each query's candidates by what chooses; the second is the mean time of a query."""
    if reads_pairs(name):
        scores, seconds = seconds_each(CrossEncoder(name), groups)
        return scores, seconds * sum(map(len, groups)) / len(groups), ""
    with tempfile.TemporaryDirectory() as stored:
        passages = dict.fromkeys(text for group in groups for _, text in group)
        started = perf_counter()
        BiEncoderScorer(name).store(stored, passages)
        storing = (perf_counter() - started) / len(passages)
        encoder = BiEncoderScorer(name, stored=stored)
        encoder.predict([("warm", groups[0][0][1])])
        started = perf_counter()
        scores = [encoder.predict(group) for group in groups]
        seconds = (perf_counter() - started) / len(groups)
    return scores, seconds, f", {1000 * storing:.1f} ms a passage beforehand"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("cheap", help="what chooses")
    parser.add_argument("--weights", type=float, nargs=3, default=[0.3, 0.0, 0.7])
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
    collection = open_collection(str(options.data), options.split).sample(options.queries)
    index = BM25Index.build(collection.documents())
    texts, qrels = collection.queries, collection.qrels
    chosen = sorted(qrels)
    found = index.search([texts[query] for query in chosen], options.depth)
    groups = [
        [(texts[query], text) for text in hits.texts]
        for query, hits in zip(chosen, found, strict=True)
    ]
    cheap, cheap_seconds, said = choose(options.cheap, groups)
    model = CrossEncoder(options.model, precision=options.precision)
    costly, pair_seconds = seconds_each(model, groups)
    runs: dict[str, dict[str, Entries]] = {"BM25": {}}
    times: dict[str, float] = {}
    two, three = (fusion("weighted", weights=w) for w in ([0.3, 0.7], options.weights))
    for query, hits, one, other in zip(chosen, found, cheap, costly, strict=True):
        runs["BM25"][query] = Entries(hits.ids, entries_scores(hits))
        for name, read, chosen_by, scores in configurations(hits, one, other):
            times[name] = read * pair_seconds + chosen_by * cheap_seconds
            how = three if name.startswith("cascade") else two
            runs.setdefault(name, {})[query] = ranked(hits, scores, reranker)
            runs.setdefault(f"{name}, fused", {})[query] = ranked(hits, scores, how)
    result = evaluate_runs(runs, qrels, measures=["nDCG@10"])
    print(
        f"{len(chosen)} queries of {options.data.name} {options.split}, depth {options.depth}; "
        f"{1000 * pair_seconds:.1f} ms a pair; choosing {1000 * cheap_seconds:.1f} ms a query{said}"
    )
    print(f"{'':24}{'ms':>8}{'alone':>9}{'fused':>9}")
    print(f"{'BM25':24}{0:8}{result.means('BM25')['nDCG@10']:9.4f}")
    for name in sorted(times, key=lambda name: times[name]):
        alone, both = (result.means(n)["nDCG@10"] for n in (name, f"{name}, fused"))
        print(f"{name:24}{1000 * times[name]:8.0f}{alone:9.4f}{both:9.4f}")


def entries_scores(hits: Hits) -> NDArray[np.float32]:
    from twopass.pipeline.evaluation.runs import strictly_decreasing

    return strictly_decreasing(hits.scores)


if __name__ == "__main__":
    main()
