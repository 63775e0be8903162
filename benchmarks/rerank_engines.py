"""One system of the reranking benchmark, run as a process of its own so that its memory is its own.

``python benchmarks/rerank_engines.py JOB`` reads a job (JSON) and prints its figures (JSON); the
logits go to the file that the job names.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CLOCKS", "SYSTEMS", "best_time"]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def original(folder: str, **model: Any) -> Any:
    import torch
    from sentence_transformers import CrossEncoder

    from reranker.quiet import quiet_transformers

    keep = torch.nn.Identity()
    with quiet_transformers():
        return CrossEncoder(folder, device="cpu", activation_fn=keep, model_kwargs=model)


def ours(folder: str, **settings: Any) -> Any:
    import torch

    from reranker.cross_encoder import CrossEncoder

    return CrossEncoder(folder, device="cpu", activation_fn=torch.nn.Identity(), **settings)


# by name; the first is what all others are compared with, and where logits must agree is fp32
SYSTEMS: dict[str, Callable[[str], Any]] = {
    "sentence-transformers fp32": lambda folder: original(folder, dtype="float32"),
    "sentence-transformers bf16": lambda folder: original(folder, dtype="bfloat16"),
    "twopass fp32": lambda folder: ours(folder),
    "twopass fp32, padded": lambda folder: ours(folder, engine="torch"),
    "twopass bf16": lambda folder: ours(folder, precision="bf16"),
}


def best_time(call: Callable[[], Any], repeats: int, clock: str) -> tuple[float, Any]:
    """Seconds of the fastest of several calls, and what the last returned."""
    best = float("inf")
    for _ in range(repeats):
        begun = CLOCKS[clock]()
        result = call()
        best = min(best, CLOCKS[clock]() - begun)
    return best, result


def measure(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(job["threads"])
    model = SYSTEMS[job["system"]](job["model"])
    pairs = [(query, text) for query, text in json.loads(Path(job["pairs"]).read_text())]
    model.predict(pairs[:32])  # what is done once only
    seconds, logits = best_time(lambda: model.predict(pairs), job["repeats"], job["clock"])
    np.save(job["logits"], np.asarray(logits, dtype=np.float32))
    query = pairs[: job["depth"]]
    latency, _ = best_time(lambda: model.predict(query), job["repeats"], job["clock"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "latency": latency, "peak": peak}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
