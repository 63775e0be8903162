"""Compare fusion methods and weights on judged queries; each pair is scored once.

    python benchmarks/choose_fusion.py ../shared/data nq-qed:dev squad:dev scifact:train
        [--model twopass/default] [--precision fp32] [--queries 200] [--depth 100]
        [--cascade twopass/tiny] [--keep 30] [--cache FOLDER]

With a cascade it compares weights of three opinions: BM25's, that of the model that chooses, and
that of the model that reads the chosen. Prints nDCG@10 by collection, the means, and the methods
that beat both stages everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from twopass.pipeline.evaluation import evaluate, open_collection
from twopass.pipeline.fusion import Fusion, fusion
from twopass.reranker import CachingScorer, Cascade, CrossEncoder, PairScorer
from twopass.retriever import BM25Index

NORMALIZERS = ["min-max", "z-score", "sum", ["theoretical-min-max", "min-max"]]


def candidates() -> dict[str, Fusion]:
    """Return what is compared, by name."""
    found = {
        f"{' + '.join(n) if isinstance(n, list) else n} {w}": fusion(
            "weighted", weights=[1 - w, w], normalizer=n
        )
        for n in NORMALIZERS
        for w in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
    }
    found |= {f"tm2c2 {a}": fusion("tm2c2", alpha=a, logits=True) for a in (0.5, 0.7, 0.8)}
    return found | {name: fusion(name) for name in ("rrf", "dbsf", "comb-mnz", "isr", "borda")}


def triples() -> dict[str, Fusion]:
    """Return weighted sums of three opinions, by their weights in tenths."""
    grid = [(b, c, 10 - b - c) for b in range(5) for c in range(5)]
    return {f"min-max {w}": fusion("weighted", weights=[x / 10 for x in w]) for w in grid}


def loaded(options: argparse.Namespace) -> PairScorer:
    def model(name: str) -> PairScorer:
        scorer = CrossEncoder(name, precision=options.precision)
        return CachingScorer(scorer, folder=options.cache) if options.cache else scorer

    last = model(options.model)
    return Cascade(model(options.cascade), last, keep=options.keep) if options.cascade else last


def measured(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Return nDCG@10 by system on a sample of a split's queries."""
    folder, _, split = name.partition(":")
    collection = open_collection(str(options.data / folder), split).sample(options.queries)
    result = evaluate(
        BM25Index.build(collection.documents()),
        options.scorer,
        triples() if options.cascade else candidates(),
        collection.queries,
        collection.qrels,
        depth=options.depth,
        measures=["nDCG@10"],
    )
    return {name: result.means(name)["nDCG@10"] for name in result.systems}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder of the collections")
    parser.add_argument("splits", nargs="+", metavar="COLLECTION:SPLIT")
    parser.add_argument("--model", default="twopass/default")
    parser.add_argument("--precision", default="fp32", help="fp32, bf16 or fp16")
    parser.add_argument("--queries", type=int, default=200, help="a sample of each split")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--cascade", help="what chooses for the model")
    parser.add_argument("--keep", type=int, default=30, help="how many of a query's")
    parser.add_argument("--cache", type=Path, help="where scores are kept")
    options = parser.parse_args()
    options.scorer = loaded(options)
    columns = [measured(name, options) for name in options.splits]
    print(f"{'':34}", *(f"{name:>16}" for name in options.splits), f"{'mean':>8}")
    stages = np.array([max(list(column.values())[:2]) for column in columns])
    for system in columns[0]:
        values = np.array([column[system] for column in columns])
        best = "  beats both stages everywhere" if (values > stages).all() else ""
        print(f"{system:34}", *(f"{v:16.4f}" for v in values), f"{values.mean():8.4f}{best}")


if __name__ == "__main__":
    main()
