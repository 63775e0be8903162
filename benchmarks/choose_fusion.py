"""Compare fusion methods and weights on judged queries; each pair is scored once.

    python benchmarks/choose_fusion.py ../shared/data nq-qed:dev squad:dev scifact:train
        [--model twopass/default] [--precision fp32] [--queries 200] [--depth 100]

Prints nDCG@10 by collection, the means, and the methods that beat both stages everywhere.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from pipeline.evaluation import evaluate
from pipeline.fusion import Fusion, fusion
from reranker.cross_encoder import CrossEncoder
from retriever.bm25.index import BM25Index
from retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries

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


def measured(folder: BeirFolder, split: str, options: argparse.Namespace) -> dict[str, float]:
    """Return nDCG@10 by system on a sample of a split's queries."""
    queries, qrels = read_queries(folder.queries), read_qrels(folder.qrels(split))
    chosen = sorted(qrels)
    if len(chosen) > options.queries:
        chosen = random.Random(12).sample(chosen, options.queries)
    result = evaluate(
        BM25Index.build(read_documents(folder.corpus)),
        options.scorer,
        candidates(),
        queries,
        {query: qrels[query] for query in chosen},
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
    options = parser.parse_args()
    options.scorer = CrossEncoder(options.model, precision=options.precision)
    columns = []
    for name in options.splits:
        collection, _, split = name.partition(":")
        columns.append(measured(BeirFolder(options.data / collection), split, options))
    print(f"{'':34}", *(f"{name:>16}" for name in options.splits), f"{'mean':>8}")
    stages = np.array([max(list(column.values())[:2]) for column in columns])
    for system in columns[0]:
        values = np.array([column[system] for column in columns])
        best = "  beats both stages everywhere" if (values > stages).all() else ""
        print(f"{system:34}", *(f"{v:16.4f}" for v in values), f"{values.mean():8.4f}{best}")


if __name__ == "__main__":
    main()
