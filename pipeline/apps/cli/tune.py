"""``twopass tune``: choose settings on judged queries."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    INDEX_HELP,
    add_command,
    add_ranking,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note, progress, wrapped
from twopass.pipeline.apps.cli.variants import indexed, with_retriever

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.evaluation import Collection, DepthCurve, FusionTuning, ScoringTuning

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass tune --data my-data --split dev --out twopass.toml
  twopass tune --data my-data --split dev --depth 200 --plot plots
  twopass tune --data my-data --split dev --measure MRR@10 --folds 10 --model ./my-model

It needs some dozens of judged queries, in a folder in BEIR's layout. Settings are adopted only if
they are better than each stage by itself on held-out queries.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "tune",
        help="choose fusion, depth, k1 and b on judged queries",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data", required=True, metavar="NAME", help="a collection, as for 'twopass evaluate'"
    )
    parser.add_argument("--split", default="dev", metavar="NAME", help="which qrels to use (dev)")
    parser.add_argument(
        "--queries",
        type=count,
        metavar="N",
        help="tune on a random sample of the queries (seed 12)",
    )
    parser.add_argument("--index", metavar="DIR", help=INDEX_HELP)
    add_ranking(parser)
    parser.add_argument(
        "--measure", default="nDCG@10", metavar="NAME", help="the measure to optimise (nDCG@10)"
    )
    parser.add_argument(
        "--folds", type=count, default=5, metavar="N", help="folds of the cross-validation (5)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the folds (0)")
    parser.add_argument("--keep-bm25", action="store_true", help="do not tune k1 and b")
    parser.add_argument("--plot", metavar="DIR", help="save a plot of quality by depth and time")
    parser.add_argument("--out", metavar="FILE", help="write the settings to this TOML file")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(arguments: Namespace) -> None:
    """Tune, print a report, write the settings."""
    from twopass.pipeline.errors import EvaluationError
    from twopass.pipeline.evaluation import open_collection, parse_measures

    parse_measures([arguments.measure])
    if arguments.no_rerank:
        raise EvaluationError("tuning needs both stages: remove --no-rerank")
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.exists() and not arguments.overwrite:
        raise EvaluationError(f"{out} exists; name another file, or pass --overwrite")
    collection = open_collection(arguments.data, arguments.split).sample(arguments.queries)
    with indexed(collection, read_settings(arguments)) as settings:
        text = _toml(_tuned(arguments, settings, collection))
    if out is None:
        echo(f"\n{text}")
    else:
        out.write_text(text, encoding="utf-8")
        note(f"wrote {out}; twopass reads twopass.toml in its working directory, or --config {out}")


def _tuned(
    arguments: Namespace, settings: Settings, collection: Collection
) -> dict[str, Mapping[str, Any]]:
    """Return the chosen settings by section."""
    from twopass.pipeline.apps.assembly import build_retriever, build_scorer
    from twopass.pipeline.evaluation import by_depth, collect, tune_fusion
    from twopass.pipeline.fusion import fusion

    chosen: dict[str, Mapping[str, Any]] = {}
    if settings.retriever.kind == "bm25" and not arguments.keep_bm25:
        scoring = _scoring(arguments, settings, collection)
        echo(wrapped(_about_scoring(scoring, arguments.measure)))
        if scoring.adopted:
            chosen["retriever"] = dict(zip(("k1", "b"), scoring.adopted, strict=True))
            settings = with_retriever(settings, **chosen["retriever"])
    with progress("scoring", "queries", len(collection.qrels)) as done:
        pool = collect(
            build_retriever(settings),
            build_scorer(settings),
            collection.queries,
            collection.qrels,
            depth=settings.depth,
            progress=done,
        )
    options = {"folds": arguments.folds, "seed": arguments.seed, "measure": arguments.measure}
    with progress("fusing", "methods") as done:
        tuned = tune_fusion(pool, progress=done, **options)
    method = {**tuned.settings}
    curve = by_depth(pool, fusion(method.pop("method"), **method), measure=arguments.measure)
    echo(wrapped(_about_fusion(tuned)))
    echo(_about_depth(curve, tuned))
    if arguments.plot:
        _plot(arguments.plot, curve)
    best = curve.recommended if tuned.reranks else 0
    chosen[""] = {"depth": best} if best else {"rerank": False}
    return chosen | {"fusion": tuned.settings} if best else chosen


def _scoring(arguments: Namespace, settings: Settings, collection: Collection) -> ScoringTuning:
    from twopass.pipeline.apps.assembly import build_retriever
    from twopass.pipeline.evaluation import collect, tune_scoring

    def values(k1: float | None, b: float | None) -> NDArray[np.float64]:
        given = {} if k1 is None else {"k1": k1, "b": b}
        retriever = build_retriever(with_retriever(settings, **given))
        pool = collect(retriever, None, collection.queries, collection.qrels, depth=settings.depth)
        found: NDArray[np.float64] = pool.measured(pool.first(), [arguments.measure])[0]
        return found

    with progress("trying k1 and b", "pairs") as done:
        return tune_scoring(values, folds=arguments.folds, seed=arguments.seed, progress=done)


def _about_scoring(scoring: ScoringTuning, measure: str) -> str:
    given, held_out = scoring.given.mean(), scoring.choice.held_out.mean()
    verdict = "adopted" if scoring.adopted else "not adopted: k1 and b stay as they are"
    return (
        f"BM25 only, {measure}: {given:.4f} now, {held_out:.4f} with k1 and b chosen on "
        f"other queries (p = {scoring.p_value:.4f})\n"
        f"  best of all: {scoring.choice.best}; {verdict}"
    )


def _about_fusion(tuned: FusionTuning) -> str:
    held_out = tuned.choice.held_out.mean()
    if tuned.adopted:
        verdict = "adopted"
    else:
        safer = "the cross-encoder only" if tuned.reranks else "BM25 only"
        verdict = (
            f"not adopted, because it is not better than both stages; the safer choice is {safer}"
        )
    return "\n".join(
        [
            f"{tuned.measure} on {len(tuned.first):,} queries, by cross-validation",
            f"  BM25 only            {tuned.first.mean():.4f}",
            f"  cross-encoder only   {tuned.second.mean():.4f}",
            f"  tuned fusion         {held_out:.4f}   p = {tuned.p_first:.4f} against BM25, "
            f"{tuned.p_second:.4f} against the cross-encoder",
            f"  best of {len(tuned.grid)} fusions on all queries: {tuned.choice.best}, "
            f"{tuned.choice.means.max():.4f}; {verdict}",
        ]
    )


def _about_depth(curve: DepthCurve, tuned: FusionTuning) -> str:
    lines = [f"depth  {curve.measure:>9}  ms per query"]
    for depth, mean, seconds in zip(curve.depths, curve.means, curve.seconds, strict=True):
        mark = "  recommended" if tuned.reranks and depth == curve.recommended else ""
        lines.append(f"{depth:>5}  {mean:>9.4f}  {1000 * seconds:>10.1f}{mark}")
    return "\n".join(lines)


def _plot(folder: str, curve: DepthCurve) -> None:
    from twopass.pipeline.evaluation.plots import plot_depth

    plot_depth({"tuned": curve}, Path(folder) / "depth")
    note(f"plot: {folder}/depth, as .png and .svg")


def _toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write settings as TOML, whose strings, numbers and lists are JSON's."""
    lines = []
    for name in sorted(sections):
        lines += [f"\n[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in sections[name].items()]
    return "\n".join(lines).lstrip("\n") + "\n"
