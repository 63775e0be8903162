"""Make the cross-encoder that ships as ``twopass/default``, by distillation on a CPU.

Two small retrieval encoders score candidate passages for queries of many kinds; a 6-layer BERT
that reads query and passage together learns their mean score, and human judgements where there
are any. The lists are created once and kept in DIR; ``twopass train`` trains on them with the
settings of ``recipes/distill/train.toml``, and continues from its last checkpoint if interrupted.

    python recipes/distill_default_model.py --data DATA --models MODELS --initial MINILM --out DIR

DATA holds the collections in BEIR layout, MODELS the folders e5-small-v2 and bge-small-en-v1.5,
MINILM is all-MiniLM-L6-v2 (a folder or its hub name).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from distill.lists import draw_examples
from distill.queries import abstract_queries, made_queries, webbed
from distill.teachers import TEACHERS, embed
from distill.texts import Collection, Passage, Query

from twopass.pipeline.apps.cli import main as twopass
from twopass.reranker.training.examples import write_examples

_SEED = 12
_RECIPE = Path(__file__).parent / "distill" / "train.toml"
_COUNTS = {
    "squad": 12_000, "medquad": 3_000, "title": 7_000, "phrase": 5_000, "sentence": 2_500,
    "abstract": 2_000,
}  # fmt: skip


def _texts(root: Path) -> tuple[list[Passage], list[Query]]:
    """Return the passages, and people's and made queries over them."""
    rng = random.Random(_SEED)
    taken = Collection(root, rng)
    taken.nq(1.0)
    taken.squad(0.5, _COUNTS["squad"])
    taken.medquad(0.5, _COUNTS["medquad"])
    taken.abstracts("scifact", 0.9)
    made = list(made_queries(taken.passages, _COUNTS, rng))
    again = [query for query in taken.queries if query.kind == "nq"]  # with other candidates
    queries = [webbed(query, rng) for query in [*taken.queries, *again, *made]]
    about = abstract_queries(taken.passages, _COUNTS["abstract"], rng)
    return taken.passages, queries + [webbed(query, rng) for query in about]


def _make_lists(
    passages: Sequence[Passage], queries: Sequence[Query], models: Path, out: Path
) -> None:
    """Write one taught list for each query to ``out``."""
    query_texts, passage_texts = [q.text for q in queries], [p.text for p in passages]
    query_vectors, passage_vectors = [], []
    for teacher in TEACHERS:
        folder = models / teacher.name.rpartition("/")[2]
        query_vectors.append(embed(folder, teacher, query_texts, out.parent, queries=True))
        passage_vectors.append(embed(folder, teacher, passage_texts, out.parent))
    write_examples(out, draw_examples(passages, queries, passage_vectors, query_vectors, _SEED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--initial", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    work = arguments.out / "lists"
    work.mkdir(parents=True, exist_ok=True)
    lists = work / "lists.jsonl.gz"
    if not lists.exists():
        torch.set_num_threads(arguments.processes)
        _make_lists(*_texts(arguments.data), arguments.models, lists)
    training = [
        "train", "--config", _RECIPE, "--root", work, "--model", arguments.initial,
        "--out", arguments.out / "model", "--processes", arguments.processes, "--threads", 1,
    ]  # fmt: skip
    sys.exit(twopass([str(part) for part in training]))


if __name__ == "__main__":
    main()
