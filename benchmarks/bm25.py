"""Compare the in-process BM25 index with bm25s, tantivy and rank-bm25 on the same terms.

Every engine builds and searches in a process of its own. Documents and queries are analysed once
and given to all as words between spaces, so that every engine ranks the same terms; the scores
at each rank of the first queries must agree, and with bm25s the documents, or the run fails
(tantivy keeps lengths in one byte: it is compared with our index under that rounding). Queries
are given many at a time to those that take them so. Builds have their input in memory, and as many
cores as threads. A second table and a figure show how the time of a query grows with the corpus.

Everything takes some twenty minutes, most of it the peers' building of two million documents.
With ``--work FOLDER`` corpora, indexes and figures are kept there, and what is there is not done
again: the run may be taken in pieces (``--corpus``), and a last one without ``--corpus`` makes the
whole report.

Examples:
  python benchmarks/bm25.py --quick                 a minute: one small Zipf corpus
  python benchmarks/bm25.py --work work --markdown report.md         everything
  python benchmarks/bm25.py --corpus scifact --corpus 200000 --growth 10000

"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from report import draw, growth_table, heading, table

HERE = Path(__file__).resolve().parent
REAL = ("scifact", "nfcorpus", "squad")
GROWTH = (10_000, 50_000, 500_000)  # besides the corpora that are compared
GROWING = ("twopass", "bm25s", "tantivy")
SMALL = 10_000  # documents up to which rank-bm25 takes part
CHECKED = 50  # queries whose answers are compared

SAME_INDEX = {"twopass, hits with texts": "twopass", "twopass, byte lengths": "twopass"}
ONE_THREADED = {"bm25s", "rank-bm25"}  # they build in one thread
ONLY_BUILT = {"tantivy, texts stored"}

Results = dict[str, dict[str, Any]]


def main() -> None:
    options = arguments()
    report = [heading()]
    latencies: dict[int, dict[str, float]] = {}
    for name in options.corpus:
        with place(options, name) as here:
            results = compare(here, name in REAL and name, options)
        report.append(table(here.corpus, results, options.k, options.threads) + check(results))
        print(report[-1], flush=True)
        if name not in REAL and "100/1" in results["twopass"]["rates"]:
            latencies[here.corpus.n_docs] = growing(results)
    for size in options.growth:
        if size not in latencies:
            with place(options, str(size)) as here:
                latencies[size] = growing(measure_growth(here, options))
    if len(latencies) > 1:
        report.append(growth_table(latencies))
        print(report[-1])
        draw(latencies, options.figure)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text("\n".join(report) + "\n", encoding="utf-8")


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
    parser.add_argument(
        "--growth", type=int, action="append", metavar="DOCUMENTS",
        help=f"further sizes for the table of growth (default: {', '.join(map(str, GROWTH))})",
    )  # fmt: skip
    parser.add_argument("--k", type=int, action="append", help="(default: 10 and 100)")
    parser.add_argument("--threads", type=int, action="append", help="(default: 1 and 2)")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="for each rate; its best pass counts"
    )
    parser.add_argument(
        "--processor-time", action="store_true",
        help="count processor time, for a machine with other work; with one thread only",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep what is made there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument(
        "--figure", type=Path, metavar="STEM", default=HERE.parent / "docs/figures/bm25-growth",
        help="where the growth is drawn: STEM.svg and STEM.png",
    )  # fmt: skip
    options = parser.parse_args()
    if options.quick:
        options.corpus, options.seconds = options.corpus or ["20000"], 0.5
        options.growth = options.growth or []
    options.corpus = options.corpus or [*REAL, "200000", "2000000"]
    options.growth = list(GROWTH) if options.growth is None else options.growth
    options.k = options.k or [10, 100]
    options.threads = options.threads or ([1] if options.processor_time else [1, 2])
    if options.processor_time and options.threads != [1]:
        parser.error("--processor-time: expected one thread, as it adds up all threads")
    return options


class Place:
    """A folder with one corpus, the indexes of it, and the figures so far."""

    def __init__(self, folder: Path, name: str, clock: str = "wall") -> None:
        self.folder = folder
        self._clock = clock
        if not (folder / "documents.npz").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (corpora.real(name) if name in REAL else corpora.zipf(int(name))).save(folder)
        self.corpus = corpora.About.load(folder)

    def run(self, engine: str, what: str, **job: Any) -> dict[str, Any]:
        """Do a job in a process of its own, unless its figures are there."""
        job |= {"what": what, "engine": engine, "corpus": str(self.folder)}
        job["clock"] = self._clock
        key = sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:16]
        stored = self.folder / f"{engine.replace(', ', '-').replace(' ', '-')}-{what}-{key}.json"
        if not stored.exists():
            print(f"{self.corpus.name}: {engine}: {what} ...", file=sys.stderr)
            stored.write_text(json.dumps(_run(job)), encoding="utf-8")
        result: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
        return result

    def build(
        self, engine: str, threads: list[int], collection: str | bool
    ) -> dict[str, dict[str, Any]]:
        """Build with each number of threads; the index of the last, the lowest one, is kept."""
        built = {}
        for n in [1] if engine in ONE_THREADED else sorted(threads, reverse=True):
            job = {"threads": n, "folder": str(self.folder / engine)}
            if collection and engine != "rank-bm25":
                built[f"text/{n}"] = self.run(
                    engine, "build", analyzer="english", collection=collection, **job
                )
            built[f"terms/{n}"] = self.run(engine, "build", analyzer="whitespace", **job)
        return built

    def query(
        self, engine: str, ks: list[int], threads: list[int], seconds: float
    ) -> dict[str, Any]:
        """Measure rates, and keep some answers."""
        folder = self.folder / SAME_INDEX.get(engine, engine)
        options = {"ks": ks, "threads": threads, "seconds": seconds, "check": CHECKED}
        return self.run(engine, "query", folder=str(folder), **options)


@contextmanager
def place(options: argparse.Namespace, name: str) -> Iterator[Place]:
    """Give the place of a corpus, for once if nothing is to be kept."""
    clock = "processor" if options.processor_time else "wall"
    if options.work is not None:
        yield Place(options.work.resolve() / name, name, clock)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Place(Path(folder), name, clock)


def compare(here: Place, collection: str | bool, options: argparse.Namespace) -> Results:
    """Build and search a corpus in all engines."""
    engines = ["twopass", *SAME_INDEX, "bm25s", "tantivy", *ONLY_BUILT]
    if here.corpus.n_docs <= SMALL:
        engines.append("rank-bm25")
    results: Results = {}
    for engine in engines:
        built = {} if engine in SAME_INDEX else here.build(engine, options.threads, collection)
        results[engine] = {"built": built}
        if engine not in ONLY_BUILT:
            results[engine] |= here.query(engine, options.k, options.threads, options.seconds)
    return results


def measure_growth(here: Place, options: argparse.Namespace) -> Results:
    """Build and search with k = 100 in one thread only."""
    results: Results = {}
    for engine in GROWING:
        here.build(engine, [1], False)
        results[engine] = here.query(engine, [100], [1], options.seconds)
    return results


def growing(results: Results) -> dict[str, float]:
    """Return each engine's milliseconds a query."""
    return {engine: 1000 / results[engine]["rates"]["100/1"] for engine in GROWING}


def _run(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, HERE / "engines.py", json.dumps(job)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{job['engine']} failed to {job['what']}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def check(results: Results) -> str:
    """Compare scores rank by rank, and documents where they are known; leave where they differ."""
    worst = {}
    for peer, ours in [("bm25s", "twopass"), ("tantivy", "twopass, byte lengths")]:
        errors = [0.0]
        columns = (results[each][key] for each in (peer, ours) for key in ("scores", "numbers"))
        for theirs, their_numbers, own, numbers in zip(*columns, strict=True):
            theirs = [score for score in theirs if score > 0]  # bm25s fills up with zeros
            if len(theirs) != len(own):
                sys.exit(f"{peer} found {len(theirs)} documents, {ours} {len(own)}")
            errors.append(float(np.max(np.abs(np.divide(theirs, own) - 1), initial=0)))
            if their_numbers is not None and not _same(their_numbers, numbers, own):
                sys.exit(f"{peer} and {ours} found different documents")
        worst[peer] = max(errors)
        if worst[peer] > 1e-4:
            sys.exit(f"scores of {peer} and {ours} differ by {worst[peer]:.1e}")
    figures = ", ".join(f"{peer} {error:.0e}" for peer, error in worst.items())
    return (
        "\nThe answers agree: with bm25s the documents, ties at the last rank aside, with both the "
        f"scores at every rank; greatest relative difference: {figures}.\n"
    )


def _same(theirs: list[int], own: list[int], scores: list[float]) -> bool:
    """Say whether the documents are the same, but for those that tie with the last."""
    above = sum(score > scores[-1] * (1 + 1e-5) for score in scores)
    return set(own[:above]) <= set(theirs)


if __name__ == "__main__":
    main()
