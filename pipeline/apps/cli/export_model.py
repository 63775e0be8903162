"""``twopass export-model``: a cross-encoder as ONNX files for other software."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    INDEX_HELP,
    MODEL_HELP,
    add_command,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note, progress
from twopass.pipeline.apps.cli.variants import indexed

if TYPE_CHECKING:
    from twopass.pipeline.evaluation import Collection

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass export-model --model my-model --out my-model --data my-data --split dev
      adds onnx/model.onnx and onnx/model_int8.onnx to the model's folder
  twopass export-model --out default-onnx --precision fp32
      exports the shipped model to a new folder

Each file must rank judged queries as well as the model: if nDCG@10 falls by more than --most,
nothing is written. Without --data, the demo's queries are used.
"""
_DEPTH = 50
_QUERIES = 200


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "export-model",
        help="export a cross-encoder to ONNX files, in fp32 and int8",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="where to write; may be the model's own folder"
    )
    parser.add_argument(
        "--precision", nargs="+", choices=("fp32", "int8"), default=["fp32", "int8"],
        help="which files to write (both)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    group = parser.add_argument_group("validation")
    group.add_argument("--data", metavar="NAME", help="a collection, as for 'twopass evaluate'")
    group.add_argument("--split", metavar="NAME", help="which qrels to use (dev)")
    group.add_argument("--index", metavar="DIR", help=INDEX_HELP)
    group.add_argument(
        "--queries",
        type=count,
        default=_QUERIES,
        metavar="N",
        help=f"size of the random sample of queries ({_QUERIES})",
    )
    group.add_argument(
        "--depth", type=count, default=_DEPTH, metavar="N", help=f"candidates per query ({_DEPTH})"
    )
    group.add_argument("--most", type=float, metavar="X", help="maximum loss of nDCG@10 (0.002)")


def run(arguments: Namespace) -> None:
    """Export and measure; write the files if they are good enough."""
    from twopass.pipeline.apps.assembly import build_retriever
    from twopass.pipeline.training.model_export import export_model
    from twopass.reranker.engines.precision import LOSS

    collection = _collection(arguments).sample(arguments.queries)
    most = LOSS if arguments.most is None else arguments.most
    with indexed(collection, read_settings(arguments)) as settings:
        scorers = 1 + len(set(arguments.precision))
        with progress("ranking", "queries", len(collection.qrels) * scorers) as report:
            done = [0]

            def ranked(_: int) -> None:
                done[0] += 1
                report(done[0])

            exports = export_model(
                settings.reranker.model,
                Path(arguments.out),
                tuple(dict.fromkeys(arguments.precision)),
                collection,
                build_retriever(settings),
                depth=settings.depth,
                most=most,
                overwrite=arguments.overwrite,
                progress=ranked,
            )
    for export in exports:
        echo(f"{export.path}  {export.size / 1e6:.1f} MB  {export.account()}")
    note(f"measured on {collection.name}, {settings.depth} candidates a query")


def _collection(arguments: Namespace) -> Collection:
    from twopass.pipeline.errors import ExportError
    from twopass.pipeline.evaluation import open_collection

    if arguments.data:
        return open_collection(arguments.data, arguments.split or "dev")
    if arguments.split or arguments.index:
        raise ExportError("--split, --index: expected --data with them, found none")
    from twopass.pipeline.apps.demo import FOLDER

    return open_collection(str(FOLDER), "test")
