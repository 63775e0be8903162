"""One system of the reranking benchmark, run as a process of its own so that its memory is its own.

``python benchmarks/rerank_engines.py JOB`` reads a job (JSON) and prints its figures (JSON); the
logits go to the file that the job names.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CLOCKS", "OPTIONAL", "SYSTEMS", "best_time"]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def original(folder: str, **model: Any) -> Any:
    from sentence_transformers import CrossEncoder

    from reranker.quiet import quiet_transformers

    with quiet_transformers():
        return CrossEncoder(folder, device="cpu", model_kwargs=model)


def exported(folder: str, *, int8: bool = False) -> Any:
    """Load through sentence-transformers' ONNX backend, quantised as its documentation says."""
    from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model

    settings: dict[str, Any] = {"device": "cpu", "backend": "onnx"}
    model = CrossEncoder(folder, **settings)
    if not int8:
        return model
    export_dynamic_quantized_onnx_model(model, "avx2", folder)
    file = {"file_name": "onnx/model_qint8_avx2.onnx"}
    return CrossEncoder(folder, model_kwargs=file, **settings)


def ours(folder: str, **settings: Any) -> Any:
    from reranker.cross_encoder import CrossEncoder

    return CrossEncoder(folder, device="cpu", **settings)


# by name; the first is what all others are compared with, and where logits must agree is fp32
SYSTEMS: dict[str, Callable[[str], Any]] = {
    "sentence-transformers fp32": lambda folder: original(folder, dtype="float32"),
    "sentence-transformers bf16": lambda folder: original(folder, dtype="bfloat16"),
    "sentence-transformers onnx": lambda folder: exported(folder),
    "sentence-transformers int8": lambda folder: exported(folder, int8=True),
    "twopass fp32": lambda folder: ours(folder),
    "twopass int8": lambda folder: ours(folder, precision="int8"),
    "twopass fp32, torch": lambda folder: ours(folder, engine="packed"),
    "twopass fp32, padded": lambda folder: ours(folder, engine="torch"),
    "twopass bf16": lambda folder: ours(folder, precision="bf16"),
}
# what is left out unless it is asked for: the exports need optimum-onnx, which needs transformers 4
OPTIONAL = {"sentence-transformers onnx", "sentence-transformers int8"}


def best_time(call: Callable[[], Any], repeats: int, clock: str) -> tuple[float, Any]:
    """Seconds of the fastest of several calls, and what the last returned."""
    best = float("inf")
    for _ in range(repeats):
        begun = CLOCKS[clock]()
        result = call()
        best = min(best, CLOCKS[clock]() - begun)
    return best, result


def peak_memory() -> float:
    """Return this process's peak in MB; getrusage would count what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(job: dict[str, Any]) -> dict[str, Any]:
    model = SYSTEMS[job["system"]](job["model"])
    pairs = [(query, text) for query, text in json.loads(Path(job["pairs"]).read_text())]
    model.predict(pairs[:32])  # what is done once only
    seconds, logits = best_time(lambda: model.predict(pairs), job["repeats"], job["clock"])
    np.save(job["logits"], np.asarray(logits, dtype=np.float32))
    query = pairs[: job["depth"]]
    latency, _ = best_time(lambda: model.predict(query), job["repeats"], job["clock"])
    return {"seconds": seconds, "latency": latency, "peak": peak_memory()}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
