"""How the BM25 benchmark shows its figures: markdown and one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpora import About
from setting import setting

__all__ = ["draw", "growth_table", "heading", "table"]


def heading() -> str:
    """Say when, where and with which versions."""
    measured = setting("bm25s", "tantivy", "rank-bm25", "numba", "numpy")
    return f"# BM25 engines compared\n\n{measured}.\nIn brackets: how many times ours is as fast.\n"


def table(
    corpus: About,
    results: Mapping[str, Mapping[str, Any]],
    ks: Sequence[int],
    threads: Sequence[int],
) -> str:
    """Lay one corpus's figures out, with what ours are of each peer's."""
    rates = [f"{k}/{n}" for k in ks for n in threads]
    builds = sorted({key for each in results.values() for key in each["built"]})
    head = ["engine", *map(_rate, rates), *map(_build, builds)]
    head += ["index, MB", "opened in, ms", "peak memory while querying, MB"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for engine, found in results.items():
        ours = not engine.startswith("twopass") and results["twopass"]
        rows.append(
            [
                engine,
                *(_speed(found, key, ours) for key in rates),
                *(_time(found["built"].get(key), ours and ours["built"][key]) for key in builds),
                _size(found["built"]),
                f"{found['open_s'] * 1e3:,.0f}" if "open_s" in found else "",
                f"{found['peak'] / 1e6:,.0f}" if "peak" in found else "",
            ]
        )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    title = f"## {corpus.name}, {corpus.occurrences:,} terms, {corpus.queries:,} queries"
    return "\n".join([title, "", *lines, ""])


def growth_table(latencies: Mapping[int, Mapping[str, float]]) -> str:
    """Lay the milliseconds a query by number of documents and engine out."""
    engines = list(next(iter(latencies.values())))
    rows = ["| documents | " + " | ".join(engines) + " |", "| ---: " * (len(engines) + 1) + "|"]
    for size in sorted(latencies):
        times = " | ".join(f"{latencies[size][engine]:.3f}" for engine in engines)
        rows.append(f"| {size:,} | {times} |")
    title = "## Milliseconds a query by corpus size (k = 100, one thread)"
    return "\n".join([title, "", *rows, ""])


def draw(latencies: Mapping[int, Mapping[str, float]], stem: Path) -> None:
    """Draw the same, logarithmically, as ``stem``.svg and .png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = sorted(latencies)
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for engine, marker in zip(latencies[sizes[0]], "os^", strict=True):
        times = [latencies[size][engine] for size in sizes]
        axes.loglog(sizes, times, marker=marker, label=engine)
    axes.set_xlabel("documents (Zipf, about 50 terms each)")
    axes.set_ylabel("milliseconds a query, 6 terms, exact top 100")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        figure.savefig(stem.with_suffix(suffix), dpi=150)


def _threads(n: str) -> str:
    return "1 thread" if n == "1" else f"{n} threads"


def _rate(key: str) -> str:
    k, n = key.split("/")
    return f"queries/s, k={k}, {_threads(n)}"


def _build(key: str) -> str:
    source, n = key.split("/")
    return f"build from {source}, {_threads(n)}, s"


def _speed(found: Mapping[str, Any], key: str, ours: Any) -> str:
    if "rates" not in found:
        return ""
    rate = found["rates"][key]
    return f"{rate:,.0f}" + (f" ({ours['rates'][key] / rate:.1f}x)" if ours else "")


def _time(built: Any, ours: Any) -> str:
    if built is None:
        return ""
    seconds = built["seconds"]
    return f"{seconds:.1f}" + (f" ({seconds / ours['seconds']:.1f}x)" if ours else "")


def _size(built: Mapping[str, Any]) -> str:
    sizes = [each["bytes"] for key, each in built.items() if key.startswith("terms")]
    return f"{sizes[-1] / 1e6:,.0f}" if sizes else ""
