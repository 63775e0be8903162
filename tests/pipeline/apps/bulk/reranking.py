"""Reranks a run with a scorer that needs no model; as a process that a test may kill.

python reranking.py RUN TEXTS QUERIES OUT SHARD DIE_AFTER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np

from twopass.pipeline.apps import assembly
from twopass.pipeline.apps.bulk import BulkJob, rerank_run
from twopass.pipeline.apps.settings import Settings


class Lengths:
    """Scores a pair by how many letters it has in common; dies after so many pairs."""

    def __init__(self, pairs: int) -> None:
        self.left = pairs

    def predict(self, pairs):
        scores = [len(set(query) & set(text)) + len(text) / 1000 for query, text in pairs]
        self.left -= len(pairs)
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.array(scores, dtype=np.float32)


def main(run: str, texts: str, queries: str, out: str, shard: str, die_after: str) -> None:
    assembly.build_scorer = lambda _: Lengths(int(die_after))
    folder = Path(f"{out}.parts")
    settings = Settings(fusion={"method": "reranker"})
    job = BulkJob(Path(run), Path(texts), Path(queries), folder, settings)
    state = rerank_run(job, Path(out), size=int(shard))
    sys.stdout.write(f"{state.pairs} {state.before}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
