"""``twopass calibrate``: fit a mapping from scores to probabilities."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    INDEX_HELP,
    add_command,
    add_ranking,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import echo, note

if TYPE_CHECKING:
    from twopass.pipeline.apps.settings import Settings
    from twopass.pipeline.evaluation.calibration import CalibrationResult, JudgedPairs

__all__ = ["add_parser", "run"]

_METHODS = ("platt", "temperature", "isotonic")
_EXAMPLES = """\
  twopass calibrate --data scifact --split train --name health      saved beside the model
  twopass calibrate --data scifact --split train --out health.json --plot health.png
  twopass search --index my-index -s reranker.calibration=health.json --min-score 0.5 "a query"
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "calibrate",
        help="calibrate the second stage's scores as probabilities, on judged queries",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data", required=True, metavar="NAME", help="a collection, as for 'twopass evaluate'"
    )
    parser.add_argument(
        "--split", default="train", metavar="NAME", help="which qrels to use (train)"
    )
    parser.add_argument(
        "--queries",
        type=count,
        metavar="N",
        help="use a random sample of the queries (default: all)",
    )
    parser.add_argument("--index", metavar="DIR", help=INDEX_HELP)
    add_ranking(parser)
    parser.add_argument("--method", choices=_METHODS, default="platt", help="default: platt")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--name",
        default="default",
        help="name of the calibration, saved beside the model (default)",
    )
    where.add_argument("--out", metavar="FILE", help="save to this JSON file instead")
    parser.add_argument(
        "--plot", metavar="FILE", help="save a reliability diagram (.png, .svg, .pdf)"
    )


def run(arguments: Namespace) -> None:
    """Fit, measure, save and report."""
    from twopass.pipeline.apps.assembly import weights_fingerprint
    from twopass.pipeline.evaluation.calibration import calibrate

    settings = read_settings(arguments)
    target = _target(arguments, settings)
    judged = _judged(arguments, settings)
    about = {"data": Path(arguments.data).name, "split": arguments.split, "depth": settings.depth}
    made = calibrate(
        judged,
        arguments.method,
        scorer=settings.reranker.model,
        fingerprint=weights_fingerprint(settings.reranker),
        **about,
    )
    made.calibration.save(target)
    if arguments.plot:
        from twopass.reranker.scorers.reliability import draw

        draw(arguments.plot, {"as it was": made.before, arguments.method: made.after})
    _report(made, arguments.method)
    note(f"saved to {target}")


def _target(arguments: Namespace, settings: Settings) -> Path:
    from twopass.pipeline.apps.assembly import calibration_file

    name = arguments.out or arguments.name
    return calibration_file(settings.reranker.model_copy(update={"calibration": name}))


def _judged(arguments: Namespace, settings: Settings) -> JudgedPairs:
    from twopass.pipeline.apps.cli.variants import Variant, collect_pools
    from twopass.pipeline.evaluation import open_collection
    from twopass.pipeline.evaluation.calibration import judged_pairs

    plain = settings.reranker.model_copy(update={"calibration": None})
    variant = Variant("", settings.model_copy(update={"reranker": plain}), ())
    collection = open_collection(arguments.data, arguments.split).sample(arguments.queries)
    return judged_pairs(collect_pools(collection, [variant], rerank=True)[""])


def _report(made: CalibrationResult, method: str) -> None:
    about = made.calibration.about
    echo(f"{about['relevant']:,} of {about['pairs']:,} candidates of {about['queries']:,} queries")
    echo("are judged relevant; expected calibration error:")
    echo(f"  before           {made.before.error:.4f}")
    echo(f"  {method:<16} {made.after.error:.4f}  on queries that it was not fitted on")
