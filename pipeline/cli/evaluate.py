"""``twopass evaluate``: how much better the second stage makes it."""

from __future__ import annotations

import json
import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import (
    FUSION_HELP,
    add_command,
    add_ranking,
    add_scoring,
    read_settings,
)
from pipeline.cli.output import echo
from pipeline.cli.progress import progress
from pipeline.cli.report import report

if TYPE_CHECKING:
    from pipeline.evaluation import Evaluation
    from pipeline.fusion import Fusion
    from pipeline.settings import Settings
    from retriever import Retriever

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass evaluate --data scifact --split test
  twopass evaluate --data scifact --fusion weighted rrf tm2c2 --measures nDCG@10 P@5
  twopass evaluate --data scifact --index scifact-index --model ./my-model --json
  twopass evaluate --data scifact --save-runs runs        TREC runs for other tools
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "evaluate", help="measure both stages on judged queries", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="a folder in BEIR's layout with qrels"
    )
    parser.add_argument("--split", default="test", metavar="NAME", help="which qrels (test)")
    parser.add_argument("--index", metavar="DIR", help="an index of the corpus that is there")
    parser.add_argument("--analyzer", metavar="NAME", help="for the index that is made otherwise")
    add_scoring(parser)
    add_ranking(parser)
    parser.add_argument("--fusion", nargs="+", metavar="METHOD", dest="methods", help=FUSION_HELP)
    parser.add_argument(
        "--measures", nargs="+", metavar="NAME", help="nDCG@10 MAP MRR@10 Recall@100, or others"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, with each query")
    parser.add_argument("--save-runs", metavar="DIR", help="write each system's run there")


def run(arguments: Namespace) -> None:
    """Evaluate and print."""
    settings = read_settings(arguments)
    evaluation = _evaluate(arguments, settings)
    if arguments.save_runs:
        _save_runs(Path(arguments.save_runs), evaluation)
    if arguments.json:
        echo(json.dumps(evaluation.to_dict(), ensure_ascii=False))
    else:
        echo(report(evaluation))


def _evaluate(arguments: Namespace, settings: Settings) -> Evaluation:
    from pipeline.build import build_scorer
    from pipeline.evaluation import DEFAULT_MEASURES, evaluate, parse_measures
    from retriever.corpus import BeirFolder, read_qrels, read_queries

    measures = arguments.measures or DEFAULT_MEASURES
    parse_measures(measures)  # what can be wrong is to be said before the index is built
    fusions = _fusions(arguments.methods, settings)
    data = BeirFolder(Path(arguments.data))
    queries, qrels = read_queries(data.queries), read_qrels(data.qrels(arguments.split))
    scorer = None if arguments.no_rerank else build_scorer(settings)
    with (
        _retriever(data, settings) as retriever,
        progress("evaluating", "queries", len(qrels)) as done,
    ):
        return evaluate(
            retriever,
            scorer,
            fusions,
            queries,
            qrels,
            depth=settings.depth,
            measures=measures,
            progress=done,
        )


def _fusions(methods: list[str] | None, settings: Settings) -> dict[str, Fusion]:
    from pipeline.build import build_fusion
    from pipeline.fusion import fusion

    own = settings.fusion.method
    return {
        method: build_fusion(settings) if method == own else fusion(method)
        for method in methods or [own]
    }


@contextmanager
def _retriever(data: Any, settings: Settings) -> Iterator[Retriever]:
    """Open the index that is named, or make one for this once."""
    from pipeline.build import build_index, build_retriever

    if settings.retriever.index is not None:
        yield build_retriever(settings)
        return
    from retriever.corpus import read_documents

    with tempfile.TemporaryDirectory(prefix="twopass-") as folder:
        with progress("indexing", "documents") as done:
            documents = read_documents(data.corpus)
            index = build_index(settings, documents, Path(folder) / "index", progress=done)
        yield index


def _save_runs(folder: Path, evaluation: Evaluation) -> None:
    from pipeline.evaluation import write_run

    folder.mkdir(parents=True, exist_ok=True)
    for name, system in evaluation.systems.items():
        file = re.sub(r"[^\w.-]+", "-", name)
        write_run(folder / f"{file}.trec", system.run, tag=file)
