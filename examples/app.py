"""A search in an app of one's own: python examples/app.py "what helps against a migraine?"."""

from __future__ import annotations

import argparse

from twopass import BM25Index, CrossEncoder, SearchPipeline, fusion, read_documents
from twopass.pipeline.apps.demo import FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", nargs="?", default="what helps against a migraine?")
    parser.add_argument("--corpus", default=FOLDER, help="documents (default: the demo's)")
    parser.add_argument("--model", default="twopass/default", help="a cross-encoder")
    arguments = parser.parse_args()

    index = BM25Index.build(read_documents(arguments.corpus))  # in memory; give it a path to keep
    pipeline = SearchPipeline(
        index,
        CrossEncoder(arguments.model),
        fusion("weighted", weights=[0.3, 0.7]),
        depth=50,
    )
    ranking = pipeline.search(arguments.question, k=5)
    for rank, (id, before) in enumerate(
        zip(ranking.ids, ranking.retrieval_ranks, strict=True), start=1
    ):
        print(f"{rank} (BM25: {before})  {index.get(id).title}: {index.get(id).text[:80]}")


if __name__ == "__main__":
    main()
