"""How much of the offline rate concurrent callers reach, and how well deadlines are kept.

``python benchmarks/batching.py`` scores the same pairs three times: offline, in one call; by 32
callers at once, each with requests of some pairs, on the model itself; and by the same callers
through dynamic batching. Scores are compared. Then single requests are scored under deadlines: how
many pairs were reached, and by how much the deadline was overshot.

Beside wall-clock time stands processor time, which other work on the machine changes less: what
batching costs in it is what it adds. By default the model is one of 2 layers of 128 with seeded
random weights, for which a queue's own cost weighs most; ``--model`` takes another.

The pairs are BM25's best documents for the first queries of SciFact.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rerank import Case, folder_of
from setting import setting

from twopass.reranker import BatchingScorer, CrossEncoder
from twopass.retriever.corpus import read_documents, read_queries
from twopass.retriever.index.index import BM25Index

DATA = Path(os.environ.get("TWOPASS_DATA", Path(__file__).parents[2] / "shared" / "data"))
DEADLINES = (0.05, 0.1, 0.2, 0.5, 1.0)

Pairs = list[tuple[str, str]]


class Result(NamedTuple):
    """Seconds by clock and processor, scores, and the seconds of each request."""

    seconds: float
    work: float
    scores: NDArray[np.float32]
    took: list[float]


def main() -> None:
    options = parsed()
    requests = requests_of(options.data / "scifact", options.requests, options.pairs)
    pairs = list(chain.from_iterable(requests))
    model = load(options)
    model.predict(pairs[:64])
    print(
        f"{setting('onnxruntime')}\n{options.model or '2x128'}; {len(requests)} requests of "
        f"{options.pairs} pairs, {options.callers} callers; best of {options.repeats}, in turn"
    )
    with BatchingScorer(model, tokens=options.tokens) as batching:
        systems: dict[str, Callable[[], tuple[NDArray[np.float32], list[float]]]] = {
            "offline": lambda: (model.predict(pairs), []),
            "callers on the model": lambda: at_once(model.predict, requests, options.callers),
            "callers in batches": lambda: at_once(batching.predict, requests, options.callers),
        }
        report(measured(systems, options.repeats), len(pairs))
        print(f"{len(pairs) / max(1, batching.stats.batches) * options.repeats:.1f} pairs a batch")
    if options.deadlines:
        under_deadlines(model, pairs)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--device")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=8, help="a request")
    parser.add_argument("--tokens", type=int, help="estimated, a batch; by default as served")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--deadlines", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def load(options: argparse.Namespace) -> CrossEncoder:
    with tempfile.TemporaryDirectory() as temporary:
        name = options.model or folder_of(Case(2, 128, 2, 0, 0), Path(temporary))
        return CrossEncoder(name, device=options.device, precision=options.precision)


def requests_of(folder: Path, n: int, depth: int) -> list[Pairs]:
    index = BM25Index.build(read_documents(folder))
    queries = list(read_queries(folder / "queries.jsonl").values())[:n]
    found = index.search(queries, depth)
    return [
        [(query, text) for text in hits.texts] for query, hits in zip(queries, found, strict=True)
    ]


def at_once(
    predict: Callable[[Pairs], NDArray[np.float32]], requests: Sequence[Pairs], callers: int
) -> tuple[NDArray[np.float32], list[float]]:
    """Let callers take requests until none is left; return all scores, and each request's time."""

    def timed(pairs: Pairs) -> tuple[NDArray[np.float32], float]:
        begun = time.perf_counter()
        return predict(pairs), time.perf_counter() - begun

    with ThreadPoolExecutor(callers) as threads:
        answers = list(threads.map(timed, requests))
    return np.concatenate([scores for scores, _ in answers]), [took for _, took in answers]


def measured(systems: dict[str, Any], repeats: int) -> dict[str, Result]:
    best: dict[str, Result] = {}
    for _ in range(repeats):
        for name, run in systems.items():
            begun, worked = time.perf_counter(), time.process_time()
            scores, took = run()
            seconds, work = time.perf_counter() - begun, time.process_time() - worked
            if name not in best or seconds < best[name].seconds:
                best[name] = Result(seconds, work, scores, took)
    return best


def report(results: dict[str, Result], n: int) -> None:
    offline = results["offline"]
    print(
        f"{'':22}{'pairs/s':>9}{'of offline':>12}{'a processor s':>15}{'of offline':>12}"
        f"{'p50 ms':>9}{'p95 ms':>9}{'max diff':>10}"
    )
    for name, each in results.items():
        took = each.took or [np.nan]
        middle, high = 1000 * np.percentile(took, [50, 95])
        print(
            f"{name:22}{n / each.seconds:9.1f}{offline.seconds / each.seconds:12.3f}"
            f"{n / each.work:15.1f}{offline.work / each.work:12.3f}{middle:9.0f}{high:9.0f}"
            f"{np.abs(each.scores - offline.scores).max():10.1e}"
        )


def under_deadlines(model: CrossEncoder, pairs: Pairs) -> None:
    print(f"\n{'deadline s':>10}{'scored':>8}{'overshoot ms: median':>22}{'worst':>8}  of 10")
    for deadline in DEADLINES:
        scored, over = [], []
        for attempt in range(10):
            some = pairs[attempt * 7 :][:200]
            begun = time.perf_counter()
            scored.append(model.score(some, deadline=deadline).scored)
            over.append(1000 * (time.perf_counter() - begun - deadline))
        print(f"{deadline:10}{np.median(scored):8.0f}{np.median(over):22.1f}{max(over):8.1f}")


if __name__ == "__main__":
    main()
