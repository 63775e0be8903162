"""What a cheaper precision costs in quality: nDCG@10 of a model beside itself in fp32.

``python benchmarks/precision.py --collections nq-qed scifact`` reranks BM25's best documents of
judged queries in both precisions, and prints both means and their difference, with its 95 %
interval over queries. Queries for which BM25 found nothing relevant are left out.
"""

from __future__ import annotations

import argparse
import os
from itertools import islice
from pathlib import Path

import numpy as np

from twopass.reranker import CrossEncoder
from twopass.reranker.engines.precision import Judged, ndcg
from twopass.retriever.corpus import BeirFolder, read_documents, read_qrels, read_queries
from twopass.retriever.index.index import BM25Index

DATA = Path(os.environ.get("TWOPASS_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    arguments = parse()
    full, brief = (
        CrossEncoder(arguments.model, device="cpu", precision=precision)
        for precision in ("fp32", arguments.precision)
    )
    for name in arguments.collections:
        judged = judged_of(DATA / name, arguments)
        before, after = (values_of(model, judged) for model in (full, brief))
        lost = before - after
        error = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
        print(
            f"{name} {arguments.split}: {len(judged)} queries, {arguments.depth} candidates each: "
            f"nDCG@10 {before.mean():.4f} in fp32, {after.mean():.4f} in {arguments.precision}, "
            f"loss {lost.mean():+.4f} (95 % within {error:.4f} of it)",
            flush=True,
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--collections", nargs="+", default=["nq-qed"])
    parser.add_argument("--split", default="train")
    parser.add_argument("--model", default="twopass/default")
    parser.add_argument("--precision", choices=("int8", "bf16", "fp16"), default="int8")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--depth", type=int, default=20)
    return parser.parse_args()


def judged_of(folder: Path, arguments: argparse.Namespace) -> list[Judged]:
    """Return BM25's best documents of the first judged queries for which it found a good one."""
    data = BeirFolder(folder)
    qrels, texts = read_qrels(data.qrels(arguments.split)), read_queries(data.queries)
    index = BM25Index.build(read_documents(data.corpus))
    judged = []
    for id in islice(qrels, arguments.queries):
        hits = index.search([texts[id]], arguments.depth)[0]
        gains = [max(0, qrels[id].get(document, 0)) for document in hits.ids]
        if any(gains):
            judged.append(Judged(texts[id], list(hits.texts), gains))
    return judged


def values_of(model: CrossEncoder, judged: list[Judged]) -> np.ndarray:
    """Return each query's nDCG@10, (q,)."""
    found = []
    for each in judged:
        pairs = [(each.query, document) for document in each.documents]
        found.append(ndcg(model.predict(pairs), each.gains))
    return np.array(found)


if __name__ == "__main__":
    main()
