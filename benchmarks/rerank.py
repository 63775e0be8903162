"""How fast pairs are scored: this package beside sentence-transformers, on the same pairs.

The pairs are BM25's best documents for the first queries of real collections. The models have
seeded random weights, for speed does not depend on them; the model that ships is measured besides.
Times are the best of several whole calls of predict(), tokenisation included; every system runs in
a process of its own, on the same number of threads. Logits are compared with those of
sentence-transformers in fp32: where others in fp32 differ by more than 1e-4, the exit status is 1.

sentence-transformers' own ONNX and int8 backends need an environment of their own, which
``--peer FOLDER`` names and makes; without it they are left out.

The share of the matrix rate is the arithmetic of the plain model on the real tokens (no padding) a
second, over the rate of matrix products measured just before (fp32 on a CPU, bf16 on a GPU); an
engine that leaves arithmetic out, or computes in fewer bits, can exceed one. Where there is a GPU
it is measured; ``--device cpu`` measures the CPU all the same. Memory is the process's on a CPU,
what torch took of the device's on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rerank_engines import CLOCKS, SYSTEMS, best_time
from rerank_peer import python_of, versions
from setting import setting

COLLECTIONS = ("scifact", "nfcorpus", "nq-qed")
DATA = Path(os.environ.get("TWOPASS_DATA", Path(__file__).parents[2] / "shared" / "data"))
SHIPPED = "twopass/default"
TOLERANCE = 1e-4
GPU_QUERIES, GPU_REPEATS = 50, 5
COLUMNS = [
    "model",
    "pairs of",
    "system",
    "pairs/s",
    "tokens/s",
    "padding",
    "matrix rate",
    "peak MB",
    "query ms",
    "ratio",
    "max diff",
]

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """A model, and how much of it is measured: the larger, the less."""

    layers: int
    hidden: int
    heads: int
    queries: int
    repeats: int
    shipped: bool = False

    @property
    def name(self) -> str:
        """The name in the table."""
        return SHIPPED if self.shipped else f"{self.layers}x{self.hidden}"


CASES = (
    Case(2, 128, 2, queries=5, repeats=3),
    Case(2, 384, 12, queries=2, repeats=2),
    Case(6, 384, 12, queries=1, repeats=1),
    Case(6, 384, 12, queries=1, repeats=1, shipped=True),
)


def main() -> int:
    arguments = parse()
    import torch

    threads = arguments.threads or torch.get_num_threads()
    job = {"threads": threads, "clock": arguments.clock, "depth": arguments.depth}
    job |= {"device": arguments.device, "systems": arguments.systems, "peer": arguments.peer}
    torch.set_num_threads(threads)
    heading = describe(threads, arguments)
    print(heading)
    found = {name: candidates(name, arguments) for name in arguments.collections}
    rows, equal = [], True
    with tempfile.TemporaryDirectory() as temporary:
        print(line(COLUMNS))
        for case in arguments.cases:
            model = folder_of(case, Path(temporary))
            for name in ("nq-qed",) if case.shipped else arguments.collections:
                queries = arguments.queries or case.queries
                pairs = found[name][: queries * arguments.depth]
                for row, agrees in compare(case, model, name, pairs, job):
                    print(line(row), flush=True)
                    rows.append(row)
                    equal = equal and agrees
    if arguments.markdown:
        arguments.markdown.write_text(markdown(heading, rows))
    if not equal:
        print(f"fp32 logits differ by more than {TOLERANCE}", file=sys.stderr)
    return 0 if equal else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=COLLECTIONS)
    parser.add_argument("--depth", type=int, default=100, help="documents a query")
    parser.add_argument("--threads", type=int, help="of torch; by default as torch chooses")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu, with --threads 1, on a busy machine"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=SYSTEMS,
        help="what is measured; the first is what all others are compared with. By default all "
        "that run on the device and, of those in their own environment, if there is one",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if gpu() else "cpu")
    parser.add_argument(
        "--peer",
        type=Path,
        metavar="FOLDER",
        help="an environment for sentence-transformers' ONNX backend; made if it is not there",
    )
    parser.add_argument("--queries", type=int, help="of each collection; fewer for larger models")
    parser.add_argument(
        "--cases", nargs="+", choices=[case.name for case in CASES], help="models; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="smallest model, nq-qed, once")
    arguments = parser.parse_args()
    wanted = arguments.cases
    arguments.cases = [case for case in CASES if wanted is None or case.name in wanted]
    if arguments.quick:
        arguments.collections = ("nq-qed",)
        arguments.cases = (Case(2, 128, 2, queries=3, repeats=1),)
    if arguments.queries is None and arguments.device == "cuda":
        arguments.queries = GPU_QUERIES
    if arguments.systems is None:
        arguments.systems = [name for name in SYSTEMS if measurable(name, arguments)]
    elif arguments.peer is None and any(SYSTEMS[name].exported for name in arguments.systems):
        parser.error("an exported system needs --peer FOLDER")
    return arguments


def gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def measurable(name: str, arguments: argparse.Namespace) -> bool:
    """Say whether a system runs on the device and in an environment that is there."""
    system = SYSTEMS[name]
    there = arguments.peer is not None or not system.exported
    return there and arguments.device in system.devices


def describe(threads: int, arguments: argparse.Namespace) -> str:
    """Say what was measured where and when."""
    names = ("torch", "transformers", "sentence-transformers", "tokenizers", "onnxruntime", "numpy")
    lines = [setting(*names, device=arguments.device), f"{threads} threads, {arguments.clock} time"]
    if arguments.peer is not None:
        lines.append(f"its ONNX backend: {versions(arguments.peer)}")
    return "\n".join(lines)


def candidates(name: str, arguments: argparse.Namespace) -> Pairs:
    from twopass.retriever.corpus import BeirFolder, read_documents, read_queries
    from twopass.retriever.index.index import BM25Index

    folder = BeirFolder(DATA / name)
    most = arguments.queries or max(case.queries for case in arguments.cases)
    queries = list(islice(read_queries(folder.queries).values(), most))
    found = BM25Index.build(read_documents(folder.corpus)).search(queries, arguments.depth)
    return [(q, text) for q, hits in zip(queries, found, strict=True) for text in hits.texts]


def folder_of(case: Case, temporary: Path) -> Path:
    """Return the shipped model's folder, or that of one with seeded random weights."""
    from twopass.reranker.console import quiet_transformers
    from twopass.reranker.files.model_folder import locate_model

    if case.shipped:
        return Path(locate_model(SHIPPED))
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(locate_model(SHIPPED))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=case.hidden,
        num_hidden_layers=case.layers,
        num_attention_heads=case.heads,
        intermediate_size=4 * case.hidden,
        num_labels=1,
        initializer_range=0.05,
        sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"},
    )
    torch.manual_seed(0)
    with quiet_transformers():
        BertForSequenceClassification(config).save_pretrained(temporary / case.name)
    tokenizer.save_pretrained(temporary / case.name)
    return temporary / case.name


def compare(
    case: Case, model: Path, name: str, pairs: Pairs, job: dict[str, Any]
) -> Iterator[tuple[list[str], bool]]:
    """Give each system's row of the table, and whether its logits are what they have to be."""
    lengths = token_lengths(model, pairs)
    rate = matrix_rate(case.hidden, job["device"], job["clock"])
    base: dict[str, Any] = {}
    for system in job["systems"]:
        repeats = case.repeats if job["device"] == "cpu" else GPU_REPEATS
        figures = run(system, model, pairs, job | {"repeats": repeats})
        base = base or figures
        seconds = figures["seconds"]
        difference = float(np.abs(figures["logits"] - base["logits"]).max())
        row = [
            case.name,
            name,
            system,
            f"{len(pairs) / seconds:.0f}",
            f"{lengths.sum() / seconds:.0f}",
            f"{padding(system, lengths, pairs, case.hidden, job):.1%}",
            f"{arithmetic_of(lengths, case) / seconds / rate:.0%}",
            f"{figures['peak']:.0f}",
            f"{1000 * figures['latency']:.0f}",
            f"{base['seconds'] / seconds:.2f}",
            f"{difference:.0e}",
        ]
        yield row, "fp32" not in system or difference <= TOLERANCE


def run(system: str, model: Path, pairs: Pairs, job: dict[str, Any]) -> dict[str, Any]:
    """Measure one system in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"pairs": f"{folder}/pairs.json", "logits": f"{folder}/logits.npy"}
        own = SYSTEMS[system].exported
        python = python_of(job.pop("peer")) if own else sys.executable
        job = {"system": system, "model": str(model), **job, **files}
        Path(folder, "pairs.json").write_text(json.dumps(pairs))
        script = Path(__file__).with_name("rerank_engines.py")
        done = subprocess.run(
            [python, str(script), json.dumps(job, default=str)],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(job["threads"])},
        )
        if done.returncode:
            raise SystemExit(f"{system} failed:\n{done.stderr}")
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures | {"logits": np.load(f"{folder}/logits.npy").ravel()}


def token_lengths(folder: Path, pairs: Pairs) -> np.ndarray:
    from twopass.reranker.text.encoding import PairEncoder
    from twopass.reranker.text.tokenizer import ModelTokenizer

    encoded = PairEncoder(ModelTokenizer.load(folder).backend, 512).encode(pairs)
    return encoded.rows.lengths[encoded.row_of]


def padding(
    system: str, lengths: np.ndarray, pairs: Pairs, hidden: int, job: dict[str, Any]
) -> float:
    """Share of the tokens that a system computes that are none of the pairs'."""
    from twopass.reranker.engines.engine import plan_batches
    from twopass.reranker.engines.torch.cpu_parts import split_batch
    from twopass.reranker.engines.torch.engine import CPU_BUDGET, GPU_BUDGET

    on_cpu = job["device"] == "cpu"
    if system.startswith("sentence-transformers"):  # 32 a batch, sorted by characters
        order = np.argsort([-len(query) - len(document) for query, document in pairs])
        batches = [order[i : i + 32] for i in range(0, len(order), 32)]
    elif SYSTEMS[system].padded:
        batches = plan_batches(lengths, CPU_BUDGET if on_cpu else GPU_BUDGET)
    else:
        batches = [np.array([i]) for i in range(len(lengths))]
    if on_cpu and SYSTEMS[system].rectangles:
        computed = sum(part.tokens for part in split_batch(lengths, hidden, 1))
    else:
        computed = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - float(lengths.sum()) / computed


def arithmetic_of(lengths: np.ndarray, case: Case) -> float:
    """Floating-point operations of the plain model: products of the layers and of attention."""
    products = 2 * 12 * case.hidden**2 * lengths.sum()
    attention = 4 * case.hidden * (lengths.astype(float) ** 2).sum()
    return float(case.layers * (products + attention))


def matrix_rate(hidden: int, device: str, clock: str) -> float:
    """Operations a second of a product of the shape that the layers have."""
    import torch

    rows, kind = (4096, torch.float32) if device == "cpu" else (65536, torch.bfloat16)
    left = torch.randn(rows, hidden, device=device, dtype=kind)
    right = torch.randn(hidden, 4 * hidden, device=device, dtype=kind)

    def multiply() -> None:
        _ = left @ right
        if device == "cuda":
            torch.cuda.synchronize()

    seconds, _ = best_time(multiply, 20, clock)
    return 2 * rows * hidden * 4 * hidden / seconds


def line(row: Any) -> str:
    widths = (15, 8, 26, 7, 8, 7, 11, 7, 8, 5, 8)
    texts = zip(row, widths, strict=True)
    return "  ".join(f"{t:<{w}}" if i < 3 else f"{t:>{w}}" for i, (t, w) in enumerate(texts))


def markdown(heading: str, rows: list[list[str]]) -> str:
    rule = ["---"] * 3 + ["--:"] * (len(COLUMNS) - 3)
    table = "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, rule, *rows))
    return f"{heading}\n\n{table}\n"


if __name__ == "__main__":
    raise SystemExit(main())
