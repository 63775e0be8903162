"""``twopass evaluate``: measure both stages on judged queries."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    FUSION_HELP,
    INDEX_HELP,
    add_command,
    add_ranking,
    add_scoring,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note
from twopass.pipeline.apps.cli.report import mean_rows, print_cases, report, report_means
from twopass.pipeline.apps.cli.variants import Variant, evaluate_variants, parse_variant

if TYPE_CHECKING:
    from twopass.pipeline.evaluation import Collection, Evaluation, Pool

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass evaluate --data scifact --split test
  twopass evaluate --data scifact --fusion weighted rrf tm2c2 --measures nDCG@10 P@5
  twopass evaluate --data scifact nfcorpus --cases 3 --plot plots
  twopass evaluate --data scifact --variant "mine: reranker.model=./my-model" \\
                                  --variant "deep: depth=200 fusion.method=rrf"
  twopass evaluate --data NanoMSMARCO NanoNFCorpus NanoNQ       from the hub, as model cards do
  twopass evaluate --data squad --split dev --queries 200       a sample of a large set
  twopass evaluate --data scifact --save-runs runs              save TREC runs
  twopass evaluate --runs runs/BM25.trec runs/cross-encoder.trec --qrels qrels.txt --fusion rrf
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "evaluate", help="measure both stages on judged queries", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--data", nargs="+", metavar="NAME",
        help="BEIR folders with qrels, NanoBEIR names (NanoNQ), or irds:ID of ir_datasets",
    )  # fmt: skip
    what.add_argument(
        "--runs",
        nargs="+",
        metavar="FILE",
        help="TREC run files instead; the first is the baseline",
    )
    parser.add_argument("--split", default="test", metavar="NAME", help="which qrels to use (test)")
    parser.add_argument(
        "--queries",
        type=count,
        metavar="N",
        help="evaluate a random sample of each set's queries (seed 12)",
    )
    parser.add_argument(
        "--qrels", metavar="FILE", help="the judgements for --runs, in TREC or BEIR format"
    )
    parser.add_argument("--index", metavar="DIR", help=INDEX_HELP)
    parser.add_argument("--analyzer", metavar="NAME", help="analyzer of the temporary index")
    add_scoring(parser)
    add_ranking(parser)
    parser.add_argument("--fusion", nargs="+", metavar="METHOD", dest="methods", help=FUSION_HELP)
    parser.add_argument(
        "--variant",
        type=parse_variant,
        action="append",
        default=[],
        metavar="'NAME: SET=VALUE ...'",
        dest="variants",
        help="also evaluate these settings; may be repeated",
    )
    parser.add_argument(
        "--measures", nargs="+", metavar="NAME", help="default: nDCG@10 MAP MRR@10 Recall@100"
    )
    parser.add_argument(
        "--add-missed", action="store_true",
        help="also score relevant documents that the first stage missed, as "
        "sentence-transformers' evaluator does",
    )  # fmt: skip
    parser.add_argument(
        "--cases", type=count, metavar="N", help="show the N best and worst queries"
    )
    parser.add_argument(
        "--plot", metavar="DIR", help="save plots of quality by depth and of gains per query"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with values per query"
    )
    parser.add_argument("--save-runs", metavar="DIR", help="save each system's run to this folder")


def run(arguments: Namespace) -> None:
    """Evaluate and print."""
    from twopass.pipeline.evaluation import DEFAULT_MEASURES, parse_measures

    measures = tuple(arguments.measures or DEFAULT_MEASURES)
    parse_measures(measures)  # report mistakes before the work
    if arguments.runs:
        _print([("", _of_runs(arguments, measures))], arguments)
        return
    variants = _variants(arguments)
    for variant in variants:
        variant.systems()
    found = []
    for collection in _collections(arguments):
        evaluation, pools = evaluate_variants(
            collection,
            variants,
            rerank=not arguments.no_rerank,
            measures=measures,
            add_missed=arguments.add_missed,
        )
        found.append((collection.name, evaluation))
        _keep(arguments, collection, evaluation, pools[variants[0].name], variants[0])
    _print(found, arguments)


def _collections(arguments: Namespace) -> list[Collection]:
    from twopass.pipeline.errors import EvaluationError
    from twopass.pipeline.evaluation import open_collection

    if arguments.qrels:
        raise EvaluationError("--qrels needs --runs; a collection has its own judgements")
    if arguments.index and len(arguments.data) > 1:
        raise EvaluationError("--index: expected one collection with it, found several")
    return [
        open_collection(name, arguments.split).sample(arguments.queries) for name in arguments.data
    ]


def _variants(arguments: Namespace) -> list[Variant]:
    methods = tuple(arguments.methods or ())
    own = Variant("", read_settings(arguments), methods)
    given = list(arguments.assignments)
    others = []
    for name, settings in arguments.variants:
        arguments.assignments = [*given, *settings.items()]
        others.append(replace(own, name=name, settings=read_settings(arguments)))
    return [own, *others]


def _of_runs(arguments: Namespace, measures: tuple[str, ...]) -> Evaluation:
    from twopass.pipeline.errors import EvaluationError
    from twopass.pipeline.evaluation import evaluate_runs, fuse_runs, read_run
    from twopass.pipeline.fusion import fusion
    from twopass.retriever.corpus import read_qrels

    if not arguments.qrels:
        raise EvaluationError("expected the judgements of the runs: --qrels FILE")
    runs = {Path(path).stem: read_run(path) for path in arguments.runs}
    if len(runs) < len(arguments.runs):
        raise EvaluationError("expected runs of different file names, found one twice")
    fused = {
        f"fusion: {method}": fuse_runs(list(runs.values()), fusion(method))
        for method in arguments.methods or ()
    }
    return evaluate_runs(runs | fused, read_qrels(arguments.qrels), measures=measures)


def _keep(
    arguments: Namespace,
    collection: Collection,
    evaluation: Evaluation,
    pool: Pool,
    variant: Variant,
) -> None:
    """Write the optional outputs: runs, plots and single cases."""
    several = len(arguments.data) > 1
    if arguments.save_runs:
        folder = Path(arguments.save_runs)
        _save_runs(folder / _file(collection.name) if several else folder, evaluation)
    if arguments.plot:
        folder = Path(arguments.plot)
        _plot(folder / _file(collection.name) if several else folder, evaluation, pool, variant)
    if arguments.cases and not arguments.json:
        print_cases(collection, evaluation, arguments.cases)


def _save_runs(folder: Path, evaluation: Evaluation) -> None:
    from twopass.pipeline.evaluation import write_run

    folder.mkdir(parents=True, exist_ok=True)
    for name, system in evaluation.systems.items():
        write_run(folder / f"{_file(name)}.trec", system.run, tag=_file(name))


def _file(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _plot(folder: Path, evaluation: Evaluation, pool: Pool, variant: Variant) -> None:
    from twopass.pipeline.errors import EvaluationError
    from twopass.pipeline.evaluation import by_depth
    from twopass.pipeline.evaluation.plots import plot_depth, plot_gains

    if not pool.reranked:
        raise EvaluationError("--plot shows the effect of the second stage: remove --no-rerank")
    measure = evaluation.measures[0]
    curves = {
        name: by_depth(pool, fusion, measure=measure) for name, fusion in variant.systems().items()
    }
    plot_depth(curves, folder / "depth")
    plot_gains(evaluation, list(evaluation.systems)[-1], folder / "gains")
    note(f"plots: {folder}/depth and {folder}/gains, as .png and .svg")


def _print(found: list[tuple[str, Evaluation]], arguments: Namespace) -> None:
    several = len(found) > 1
    if arguments.json:
        plain = {name: evaluation.to_dict() for name, evaluation in found}
        value = {"sets": plain, "mean": mean_rows(found)} if several else plain[found[0][0]]
        echo(json.dumps(value, ensure_ascii=False))
        return
    for name, evaluation in found:
        text = report(evaluation, sampled=arguments.queries is not None)
        echo(f"{name}\n{text}\n" if several else text)
    if several:
        echo(report_means(found))
