"""How fast pairs are scored: this package beside sentence-transformers, on the same pairs.

The pairs are BM25's best documents for the first queries of real collections. The models have
random weights, for speed does not depend on them; the scores are compared all the same. Times are
the best of several, whole calls of predict(), tokenisation included. The share of the matrix rate
is the arithmetic of the plain model on the real tokens (no padding) per second, over the rate of
fp32 matrix products measured just before; an engine that leaves arithmetic out can exceed one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

COLLECTIONS = ("scifact", "nfcorpus", "nq-qed")
SHAPES = ((2, 128, 2), (2, 384, 12), (6, 384, 12))  # layers, hidden, heads
DATA = Path(os.environ.get("TWOPASS_DATA", Path(__file__).parents[2] / "shared" / "data"))

Pairs = list[tuple[str, str]]


def main() -> None:
    arguments = parse()
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, device cpu")
    collected = {name: pairs_of(name, arguments) for name in arguments.collections}
    for shape in arguments.shapes:
        rate = matrix_rate(shape[1])
        print(f"\n{shape[0]} layers x {shape[1]}, fp32 matrix rate {rate / 1e9:.0f} GFLOP/s")
        print(
            f"{'pairs':<10}{'system':<28}{'pairs/s':>9}{'padding':>9}{'rate':>7}{'ratio':>7}  diff"
        )
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder), shape, arguments.tokenizer)
            for line in compare(Path(folder), shape, collected, rate, arguments.repeats):
                print(line, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=COLLECTIONS)
    parser.add_argument("--queries", type=int, default=50, help="of each collection")
    parser.add_argument("--depth", type=int, default=100, help="documents a query")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch; by default as torch chooses")
    parser.add_argument(
        "--tokenizer", default="twopass/default", help="a BERT model's name or folder"
    )
    parser.add_argument("--quick", action="store_true", help="3 queries, smallest shape, once")
    arguments = parser.parse_args()
    arguments.shapes = SHAPES
    if arguments.quick:
        arguments.queries, arguments.repeats, arguments.shapes = 3, 1, SHAPES[:1]
    return arguments


def pairs_of(name: str, arguments: argparse.Namespace) -> Pairs:
    from retriever.bm25.index import BM25Index
    from retriever.corpus import BeirFolder, read_documents, read_queries

    folder = BeirFolder(DATA / name)
    queries = list(islice(read_queries(folder.queries).values(), arguments.queries))
    index = BM25Index.build(read_documents(folder.corpus))
    found = index.search(queries, arguments.depth)
    return [(q, text) for q, hits in zip(queries, found, strict=True) for text in hits.texts]


def save_model(folder: Path, shape: tuple[int, int, int], tokenizer_name: str) -> None:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from reranker.quiet import quiet_transformers
    from reranker.sources import locate

    layers, hidden, heads = shape
    tokenizer = AutoTokenizer.from_pretrained(locate(tokenizer_name))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        num_labels=1,
        initializer_range=0.05,
    )
    torch.manual_seed(0)
    with quiet_transformers():
        BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def compare(
    folder: Path,
    shape: tuple[int, int, int],
    collected: dict[str, Pairs],
    rate: float,
    repeats: int,
) -> Iterator[str]:
    from sentence_transformers import CrossEncoder as Original

    from reranker.batches import plan
    from reranker.cross_encoder import CrossEncoder
    from reranker.quiet import quiet_transformers

    with quiet_transformers():
        original = Original(str(folder), device="cpu")
    ours = {
        "sentence-transformers": original,
        "twopass fp32": CrossEncoder(folder, device="cpu"),
        "twopass fp32, padded": CrossEncoder(folder, device="cpu", engine="torch"),
        "twopass bf16": CrossEncoder(folder, device="cpu", precision="bf16"),
    }
    for name, pairs in collected.items():
        lengths = token_lengths(folder, pairs)
        batches = {
            "sentence-transformers": batches_of_the_original(pairs),
            "twopass fp32, padded": plan(lengths, 4096),
        }
        arithmetic = arithmetic_of(lengths, shape)
        reference, base = None, None
        for system, model in ours.items():
            seconds, scores = best_time(lambda m=model, p=pairs: m.predict(p), repeats)
            reference = scores if reference is None else reference
            base = base or seconds
            share = padding(lengths, batches[system]) if system in batches else 0.0
            yield (
                f"{name:<10}{system:<28}{len(pairs) / seconds:>9.0f}{share:>9.1%}"
                f"{arithmetic / seconds / rate:>7.0%}{base / seconds:>7.2f}"
                f"  {np.abs(scores - reference).max():.1e}"
            )


def token_lengths(folder: Path, pairs: Pairs) -> np.ndarray:
    from reranker.encoding import PairEncoder
    from reranker.tokenizer import ModelTokenizer

    encoded = PairEncoder(ModelTokenizer.load(folder).backend, 512).encode(pairs)
    return encoded.rows.lengths[encoded.row_of]


def batches_of_the_original(pairs: Pairs) -> list[np.ndarray]:
    """32 pairs a batch, sorted by characters."""
    order = np.argsort([-len(query) - len(document) for query, document in pairs])
    return [order[i : i + 32] for i in range(0, len(order), 32)]


def padding(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Share of the tokens in the batches that are no tokens."""
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - float(lengths.sum()) / padded


def arithmetic_of(lengths: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Floating-point operations of the plain model: products of the layers and of attention."""
    layers, hidden, _ = shape
    products = 2 * 12 * hidden**2 * lengths.sum()
    attention = 4 * hidden * (lengths.astype(float) ** 2).sum()
    return float(layers * (products + attention))


def matrix_rate(hidden: int) -> float:
    """Operations a second of an fp32 product of the shape that the layers have."""
    import torch

    left, right = torch.randn(4096, hidden), torch.randn(hidden, 4 * hidden)
    seconds, _ = best_time(lambda: left @ right, 20)
    return 2 * 4096 * hidden * 4 * hidden / seconds


def best_time(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - begun)
    return best, result


if __name__ == "__main__":
    main()
