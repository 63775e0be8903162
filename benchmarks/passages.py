"""Do passages beat cutting long documents? nDCG@10 of the same candidates, read in several ways.

    python benchmarks/passages.py ../shared/data/scifact --split test --queries 41 --depth 20
    python benchmarks/passages.py ../shared/data/medquad --split train --queries 16 --depth 10
        --long-answers

With --long-answers, only queries with a relevant document that the model cannot read whole. Prints
each way's nDCG@10, of the cross-encoder alone and fused with BM25 by the pipeline's default, the
mean difference to cutting with its standard error, and how many passages were read a query.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twopass.pipeline.evaluation import collect
from twopass.pipeline.fusion import fusion, reranker
from twopass.reranker import CrossEncoder, PassageScorer, Reading
from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.index.index import BM25Index

WAYS = {
    "first 128": Reading(128, 16, 1, "first"),
    "best of 1 x 128": Reading(128, 16, 1),
    "best of 2 x 128": Reading(128, 16, 2),
    "best of 4 x 128": Reading(128, 16, 4),
    "mean of 2 of 4 x 128": Reading(128, 16, 4, "mean"),
    "best of 2 x all that fits": Reading(None, 32, 2),
    "best of 4 x all that fits": Reading(None, 32, 4),
}
LOOKED_AT = 1500  # queries, for long answers


class Remembered:
    """Scores each pair once for all ways, and counts what is asked."""

    def __init__(self, model: CrossEncoder) -> None:
        self.model = model
        self.known: dict[tuple[str, str], np.float32] = {}
        self.asked = 0

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the scores of the pairs."""
        self.asked += len(pairs)
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
        if new:
            self.known |= zip(new, self.model.predict(new), strict=True)
        return np.array([self.known[pair] for pair in pairs], dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="twopass/default")
    parser.add_argument("--queries", type=int, default=50, help="a sample")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--long-answers", action="store_true")
    options = parser.parse_args()
    folder = BeirFolder(options.data)
    index = BM25Index.build(read_documents(folder.corpus))
    queries, qrels = read_queries(folder.queries), read_qrels(folder.qrels(options.split))
    model = CrossEncoder(options.model)
    chosen = sorted(qrels)
    random.Random(12).shuffle(chosen)
    if options.long_answers:
        chosen = [
            query
            for query in chosen[:LOOKED_AT]
            if any(_is_long(model, index.get(id).contents) for id, r in qrels[query].items() if r)
        ]
    qrels = {query: qrels[query] for query in chosen[: options.queries]}
    scorer, base = Remembered(model), None
    print(f"{'':28}{'alone':>9}{'':>18}{'fused':>9}{'':>18}{'read':>8}")
    ways = {"cut": scorer} | {
        name: PassageScorer(scorer, model.encoder, reading) for name, reading in WAYS.items()
    }
    for name, way in ways.items():
        scorer.asked = 0
        pool = collect(index, way, queries, qrels, depth=options.depth, k=options.depth)
        found = np.stack(
            [
                pool.measured(pool.fused(how), ["nDCG@10"])[0]
                for how in (reranker, fusion("weighted", weights=[0.3, 0.7]))
            ]
        )
        base = found if base is None else base
        cells = [
            f"{row.mean():9.4f}{_difference(row - own)}"
            for row, own in zip(found, base, strict=True)
        ]
        print(f"{name:28}{''.join(cells)}{scorer.asked / len(qrels):8.1f}", flush=True)
    first = pool.measured(pool.first(), ["nDCG@10"])[0]
    print(f"{'BM25':28}{first.mean():9.4f}{_difference(first - base[0])}")


def _is_long(model: CrossEncoder, text: str) -> bool:
    return len(model.encoder.tokenized([text])[0]) > model.encoder.room


def _difference(values: NDArray[np.float64]) -> str:
    return f"  {values.mean():+.4f} ±{values.std() / np.sqrt(len(values)):.4f}"


if __name__ == "__main__":
    main()
