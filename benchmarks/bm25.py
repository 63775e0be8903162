"""Compare the in-process BM25 index with bm25s, tantivy and rank-bm25 on the same terms.

Every engine builds and searches in a process of its own. Documents and queries are analysed once
and given to all as words between spaces, so that every engine ranks the same terms; the scores
at each rank of the first queries must agree, or the run fails (tantivy keeps lengths in one byte:
it is compared with our index under that rounding). Searching gives document numbers and scores;
no texts are fetched. Build times leave out the making of the input.

Examples:
  python benchmarks/bm25.py --quick                 a minute: one small Zipf corpus
  python benchmarks/bm25.py                         everything; an hour on two cores
  python benchmarks/bm25.py --corpus scifact --corpus 200000 --markdown docs/bm25.md
  python benchmarks/bm25.py --growth --figure docs/figures/bm25-latency

"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import corpora
import numpy as np

HERE = Path(__file__).resolve().parent
REAL = ("scifact", "nfcorpus", "squad")
GROWTH = (10_000, 50_000, 200_000, 1_000_000, 2_000_000)
SMALL = 10_000  # documents up to which rank-bm25 takes part
CHECKED = 50  # queries whose scores are compared


def main() -> None:
    options = arguments()
    report = [heading()]
    with tempfile.TemporaryDirectory() as folder:
        if options.growth:
            report.append(growth(Path(folder), options))
        else:
            for name in options.corpus:
                report.append(compare(name, Path(folder), options))
                print(report[-1], flush=True)
    text = "\n".join(report)
    if options.growth:
        print(text)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--corpus", action="append", metavar="NAME",
        help=f"{', '.join(REAL)}, or a number of synthetic documents; may be given again "
        "(default: the three, 200000 and 2000000)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="20,000 synthetic documents, short")
    parser.add_argument("--growth", action="store_true", help="latency by corpus size instead")
    parser.add_argument("--k", type=int, action="append", help="(default: 10 and 100)")
    parser.add_argument("--threads", type=int, action="append", help="(default: 1 and 2)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each rate; its best pass counts"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument(
        "--figure", type=Path, metavar="STEM", default=HERE.parent / "docs/figures/bm25-latency",
        help="where --growth draws: STEM.svg and STEM.png",
    )  # fmt: skip
    options = parser.parse_args()
    if options.quick:
        options.corpus, options.seconds = options.corpus or ["20000"], 1.0
    options.corpus = options.corpus or [*REAL, "200000", "2000000"]
    options.k = options.k or [10, 100]
    options.threads = options.threads or [1, 2]
    return options


def compare(name: str, folder: Path, options: argparse.Namespace) -> str:
    """Build, search and check one corpus in all engines; return a table."""
    corpus = corpora.real(name) if name in REAL else corpora.zipf(int(name))
    here = folder / name
    here.mkdir()
    corpus.save(here / "corpus.npz")
    engines = ["twopass", "twopass, byte lengths", "bm25s", "tantivy"]
    if corpus.n_docs <= SMALL:
        engines.append("rank-bm25")
    results = {}
    for engine in engines:
        print(f"{corpus.name}: {engine} ...", file=sys.stderr)
        results[engine] = measure(engine, here, options, name if name in REAL else None)
    agreement = check(results)
    return table(corpus, results, options) + f"\n{agreement}\n"


def measure(
    engine: str, here: Path, options: argparse.Namespace, collection: str | None
) -> dict[str, Any]:
    """Run an engine's jobs: builds with each number of threads, then the queries."""
    folder = here / engine
    built: dict[str, Any] = {}
    if engine == "twopass, byte lengths":
        folder = here / "twopass"  # the same index: lengths are rounded when it is opened
    else:
        for threads in sorted(options.threads, reverse=True):
            target = folder if threads == min(options.threads) else here / f"{engine} {threads}"
            job = {"engine": engine, "corpus": str(here / "corpus.npz"), "threads": threads}
            built[f"terms/{threads}"] = run(
                what="build", folder=str(target), analyzer="whitespace", **job
            )
            if collection and engine != "rank-bm25":
                built[f"text/{threads}"] = run(
                    what="build", folder=f"{target} text", analyzer="english",
                    collection=collection, **job,
                )  # fmt: skip
    found = run(
        what="query", engine=engine, corpus=str(here / "corpus.npz"), folder=str(folder),
        ks=options.k, threads=options.threads, seconds=options.seconds, check=CHECKED,
    )  # fmt: skip
    return {"built": built, **found}


def run(**job: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, HERE / "engines.py", json.dumps(job)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{job['engine']} failed to {job['what']}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def check(results: dict[str, dict[str, Any]]) -> str:
    """Compare scores rank by rank; leave with an error where they differ."""
    pairs = [("bm25s", "twopass"), ("tantivy", "twopass, byte lengths")]
    worst = {}
    for peer, ours in pairs:
        errors = [0.0]
        for theirs, own in zip(results[peer]["scores"], results[ours]["scores"], strict=True):
            theirs = [score for score in theirs if score > 0]  # bm25s fills up with zeros
            if len(theirs) != len(own):
                sys.exit(f"{peer} found {len(theirs)} documents, {ours} {len(own)}")
            errors.append(float(np.max(np.abs(np.divide(theirs, own) - 1), initial=0)))
        worst[peer] = max(errors)
        if worst[peer] > 1e-4:
            sys.exit(f"scores of {peer} and {ours} differ by {worst[peer]:.1e}")
    figures = ", ".join(f"{peer} {error:.0e}" for peer, error in worst.items())
    return f"Scores agree at every rank; greatest relative difference: {figures}."


def table(
    corpus: corpora.Corpus, results: dict[str, dict[str, Any]], options: argparse.Namespace
) -> str:
    """Lay the figures out as markdown, rates with what they are of each peer's."""
    rates = [(k, t) for k in options.k for t in options.threads]
    builds = sorted({key for each in results.values() for key in each["built"]})
    head = ["engine"]
    head += [f"q/s, k={k}, {_threads(t)}" for k, t in rates]
    head += [f"build from {_build(key)}, s" for key in builds]
    head += ["index, MB", "opened in, ms", "peak memory, MB"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    ours = results["twopass"]["rates"]
    for engine, found in results.items():
        row = [engine]
        for k, t in rates:
            rate = found["rates"][f"{k}/{t}"]
            row.append(f"{rate:,.0f}" + _ratio(engine, ours[f"{k}/{t}"] / rate))
        row += [f"{found['built'][key]['seconds']:.1f}" if key in found["built"] else ""
                for key in builds]  # fmt: skip
        size = found["built"].get(f"terms/{min(options.threads)}", {}).get("bytes")
        row.append(f"{size / 1e6:,.0f}" if size else "")
        row += [f"{found['open_s'] * 1e3:,.0f}", f"{found['peak'] / 1e6:,.0f}"]
        rows.append(row)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    n_queries = len(corpus.query_offsets) - 1
    return "\n".join(
        [f"## {corpus.name}, {len(corpus.terms):,} terms, {n_queries:,} queries", "", *lines, ""]
    )


def growth(folder: Path, options: argparse.Namespace) -> str:
    """Measure the time of a query by corpus size (k = 100, one thread) and draw it."""
    sizes = GROWTH[:2] if options.quick else GROWTH
    options.k, options.threads = [100], [1]
    latencies: dict[str, list[float]] = {"twopass": [], "bm25s": [], "tantivy": []}
    for size in sizes:
        here = folder / str(size)
        here.mkdir()
        corpora.zipf(size).save(here / "corpus.npz")
        for engine, found in latencies.items():
            print(f"{size:,} documents: {engine} ...", file=sys.stderr)
            found.append(1000 / measure(engine, here, options, None)["rates"]["100/1"])
    draw(sizes, latencies, options.figure)
    rows = ["| documents | " + " | ".join(latencies) + " |", "| ---: " * 4 + "|"]
    for i, size in enumerate(sizes):
        times = " | ".join(f"{found[i]:.3f}" for found in latencies.values())
        rows.append(f"| {size:,} | {times} |")
    return "\n".join(["## Milliseconds a query by corpus size (k = 100, one thread)", "", *rows])


def draw(sizes: tuple[int, ...], latencies: dict[str, list[float]], stem: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for engine, marker in zip(latencies, "os^", strict=True):
        axes.loglog(sizes, latencies[engine], marker=marker, label=engine)
    axes.set_xlabel("documents (Zipf, about 50 terms each)")
    axes.set_ylabel("milliseconds a query, 6 terms, exact top 100")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        figure.savefig(stem.with_suffix(suffix), dpi=150)


def heading() -> str:
    libraries = ("twopass", "bm25s", "tantivy", "rank-bm25", "numba", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return (
        f"# BM25 engines compared\n\n{datetime.now(UTC):%Y-%m-%d}; {_processor()}; "
        f"Python {platform.python_version()}; {versions}.\n"
        "In brackets: how many times ours is as fast.\n"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _build(key: str) -> str:
    source, threads = key.split("/")
    return f"{source}, {_threads(int(threads))}"


def _ratio(engine: str, ratio: float) -> str:
    return "" if engine.startswith("twopass") else f" ({ratio:.1f}x)"


if __name__ == "__main__":
    main()
