"""One system of the reranking benchmark, run as a process of its own so that its memory is its own.

``python benchmarks/rerank_engines.py JOB`` reads a job (JSON) and prints its figures (JSON); the
logits go to the file that the job names. Exported systems run in an environment of their own, see
``rerank_peer.py``: nothing of this package is imported for them.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CLOCKS", "SYSTEMS", "System", "best_time"]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Load = Callable[[str, str], Any]  # the model's folder and the device -> what has predict()


@dataclass(frozen=True)
class System:
    """How a system is loaded, where it runs, and what of its batches is padding."""

    load: Load
    devices: tuple[str, ...] = ("cpu", "cuda")
    exported: bool = False
    padded: bool = False
    rectangles: bool = False  # on a CPU


def original(dtype: str) -> Load:
    def load(folder: str, device: str) -> Any:
        from sentence_transformers import CrossEncoder

        from twopass.reranker.console import quiet_transformers

        with quiet_transformers():
            return CrossEncoder(folder, device=device, model_kwargs={"dtype": dtype})

    return load


def exported(*, int8: bool) -> Load:
    """Load through sentence-transformers' ONNX backend, quantised as its documentation says."""

    def load(folder: str, device: str) -> Any:
        # as twopass.reranker.telemetry does, which is not installed here
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        from onnxruntime import SessionOptions
        from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model

        settings: dict[str, Any] = {"device": device, "backend": "onnx"}
        options = SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        common = {"session_options": options}
        scratch = tempfile.mkdtemp()  # exports are written beside the model
        atexit.register(shutil.rmtree, scratch)
        copy = shutil.copytree(folder, Path(scratch, Path(folder).name))
        model = CrossEncoder(str(copy), model_kwargs={"export": True, **common}, **settings)
        if not int8:
            return model
        export_dynamic_quantized_onnx_model(model, quantisation(), str(copy), file_suffix="int8")
        name = {"file_name": "onnx/model_int8.onnx", **common}
        return CrossEncoder(str(copy), model_kwargs=name, **settings)

    return load


def quantisation() -> str:
    """Name the best of the peer's configurations for this processor."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    if "asimd" in flags:
        return "arm64"
    known = {"avx512_vnni": "avx512_vnni", "avx512f": "avx512"}
    return next((kind for flag, kind in known.items() if flag in flags), "avx2")


def ours(**settings: Any) -> Load:
    def load(folder: str, device: str) -> Any:
        from twopass.reranker.scorers.cross_encoder import CrossEncoder

        return CrossEncoder(folder, device=device, **settings)

    return load


CPU, GPU = ("cpu",), ("cuda",)
# by name; the first is what all others are compared with, and where logits must agree is fp32
SYSTEMS: dict[str, System] = {
    "sentence-transformers fp32": System(original("float32"), padded=True),
    "sentence-transformers bf16": System(original("bfloat16"), padded=True),
    "sentence-transformers onnx": System(exported(int8=False), CPU, exported=True, padded=True),
    "sentence-transformers int8": System(exported(int8=True), CPU, exported=True, padded=True),
    "twopass fp32": System(ours()),
    "twopass int8": System(ours(precision="int8"), CPU),
    "twopass fp32, packed": System(ours(engine="packed"), CPU, rectangles=True),
    "twopass fp32, padded": System(ours(engine="torch"), padded=True),
    "twopass bf16": System(ours(precision="bf16"), rectangles=True),
    "twopass bf16, graphs": System(ours(precision="bf16", cuda_graphs=True), GPU),
    "twopass bf16, padded": System(ours(precision="bf16", engine="torch"), GPU, padded=True),
}


def best_time(call: Callable[[], Any], repeats: int, clock: str) -> tuple[float, Any]:
    """Seconds of the fastest of several calls, and what the last returned."""
    best = float("inf")
    for _ in range(repeats):
        begun = CLOCKS[clock]()
        result = call()
        best = min(best, CLOCKS[clock]() - begun)
    return best, result


def peak_memory(device: str) -> float:
    """Return the peak in MB: this process's, or what torch took of the GPU.

    getrusage would count what the parent had.
    """
    if device == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated()) / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(job: dict[str, Any]) -> dict[str, Any]:
    device = job["device"]
    model = SYSTEMS[job["system"]].load(job["model"], device)
    pairs = [(query, text) for query, text in json.loads(Path(job["pairs"]).read_text())]
    query = pairs[: job["depth"]]
    model.predict(query[:32])  # what is done once only
    latency, logits = best_time(lambda: model.predict(query), max(2, job["repeats"]), job["clock"])
    seconds = latency
    if len(pairs) > len(query):
        seconds, logits = best_time(lambda: model.predict(pairs), job["repeats"], job["clock"])
    np.save(job["logits"], np.asarray(logits, dtype=np.float32))
    return {"seconds": seconds, "latency": latency, "peak": peak_memory(device)}


if __name__ == "__main__":
    figures = measure(json.loads(sys.argv[1]))
    print(json.dumps(figures))
