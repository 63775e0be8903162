"""``twopass train``: a cross-encoder of one's own, from one's own corpus and index."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import add_command, count, read_settings
from twopass.pipeline.apps.cli.output import echo, note

if TYPE_CHECKING:
    from twopass.pipeline.apps.training.job import Outcome
    from twopass.reranker.training.trainer import Progress

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass train --data nq-qed --out my-model
      negatives from BM25, the shipped model trained further, measured on nq-qed's dev split
  twopass train --data corpus --index my-index --recipe gooaq-bce --positives 0.17 --out my-model
      the recipe of the model's card, negatives from an index of yours
  twopass train --data corpus --model MiniLM --layers 3 --teacher twopass/default \\
      --recipe distill --out small-model
      a smaller model that learns the scores of a larger one
  twopass train --config train.toml --out my-model
      everything in a file: section [train], data as [[train.data]]

Interrupted with Ctrl-C it writes a checkpoint; the same command goes on from there and ends with
the same model. What the recipes are, and every setting: docs/training.md.
"""

_SETTINGS = {
    "from_model": "model",
    "layers": "layers",
    "hidden": "hidden",
    "device": "device",
    "root": "root",
    "models": "models",
    "teachers": "teachers",
    "filter_margin": "filter_margin",
    "leaks": "leaks",
    "country": "country",
    "name": "name",
    "recipe": "recipe.name",
    "loss": "recipe.loss",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch_size",
    "rate": "recipe.learning_rate",
    "max_length": "recipe.max_length",
    "seed": "recipe.seed",
    "negatives": "negatives.number",
    "positives": "negatives.positives",
}


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "train", help="train a cross-encoder on a corpus of yours", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("--out", required=True, metavar="DIR", help="the model's folder")
    parser.add_argument(
        "--restart", action="store_true", help="begin anew where a checkpoint is there"
    )
    _add_data(parser)
    _add_model(parser)


def _add_data(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("data and negatives")
    group.add_argument(
        "--data", nargs="+", metavar="PATH", help="BEIR folders, or JSON Lines of examples"
    )
    group.add_argument("--split", metavar="NAME", help="the qrels to learn from (train)")
    group.add_argument("--dev-split", metavar="NAME", help="the qrels to measure on (dev)")
    group.add_argument("--queries", type=count, metavar="N", help="training queries a folder (all)")
    group.add_argument("--dev-queries", type=count, metavar="N", help="measured on (100 a folder)")
    group.add_argument("--root", metavar="DIR", help="where relative paths of the data begin")
    group.add_argument("--index", metavar="DIR", help="an index of the corpus, for the negatives")
    group.add_argument("--negatives", metavar="N", help="negatives a relevant passage (7)")
    group.add_argument(
        "--positives", metavar="X", help="instead, the share of relevant pairs (0.17 on the card)"
    )
    group.add_argument(
        "--teacher", nargs="+", metavar="MODEL", dest="teachers", help="to learn from"
    )
    group.add_argument(
        "--filter-margin", metavar="X", help="drop negatives that the teachers put so near"
    )
    group.add_argument("--leaks", choices=("report", "drop", "error"), help="dev texts in training")


def _add_model(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("model and recipe")
    group.add_argument("--model", metavar="NAME", dest="from_model", help="weights to begin with")
    group.add_argument("--layers", type=count, metavar="N", help="how many of its layers to keep")
    group.add_argument("--hidden", type=count, metavar="N", help="a new small model of this width")
    group.add_argument("--models", metavar="DIR", help="local copies of models named as on the hub")
    group.add_argument("--recipe", metavar="NAME", help="default, gooaq-bce, listwise, distill")
    group.add_argument(
        "--loss", metavar="NAME", help="bce, softmax, margin-mse, distill, ranknet, lambda"
    )
    group.add_argument("--epochs", metavar="X", help="passes over the examples")
    group.add_argument("--batch-size", metavar="N", help="pairs (bce) or lists a step")
    group.add_argument("--learning-rate", metavar="X", dest="rate", help="at its highest")
    group.add_argument("--max-length", type=count, metavar="N", help="tokens a pair at most")
    group.add_argument("--seed", metavar="N", help="of everything random (12)")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, ...")
    group.add_argument("--threads", type=count, metavar="N", help="of torch on the CPU")
    group.add_argument(
        "--processes", type=count, metavar="N", help="train in so many, one for each GPU"
    )
    group.add_argument("--country", metavar="ISO", help="measure emissions there, as DEU")
    group.add_argument("--push", metavar="NAME", help="upload it to the hub, as user/model")
    group.add_argument("--name", metavar="NAME", help="the model's, on its card")


def run(arguments: Namespace) -> None:
    """Train and print what was gained."""
    from twopass.pipeline.apps.training.job import TrainingJob

    _take_settings(arguments)
    settings = read_settings(arguments)
    if arguments.processes and "WORLD_SIZE" not in os.environ:
        raise SystemExit(_run_in_processes(arguments.processes, arguments.given))
    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    job = TrainingJob(
        settings,
        Path(arguments.out),
        command=shlex.join(["twopass", *arguments.given]),
        say=note,
        progress=_progress(),
    )
    outcome = job.run(restart=arguments.restart)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the first one speaks
    _report(outcome)
    if arguments.push:
        from twopass.reranker.training.hub import push

        note(f"{push(outcome.model, arguments.push)}: published")


def _take_settings(arguments: Namespace) -> None:
    """Add the command's own arguments to the settings that are given."""
    given = [
        (f"train.{setting}", value)
        for name, setting in _SETTINGS.items()
        if (value := getattr(arguments, name)) is not None
    ]
    if arguments.data is not None:
        named = {
            "split": arguments.split,
            "dev_split": arguments.dev_split,
            "queries": arguments.queries,
            "dev_queries": arguments.dev_queries,
        }
        chosen = {name: value for name, value in named.items() if value is not None}
        given.append(("train.data", [{"path": path, **chosen} for path in arguments.data]))
    arguments.assignments = [*arguments.assignments, *given]


def _progress() -> Callable[[Progress], None]:
    """Write a line now and then: a log needs no bar, and a terminal shows lines as well."""
    last = [0.0]

    def tell(p: Progress) -> None:
        if not p.metrics and monotonic() - last[0] < 5 and p.step < p.steps:
            return
        last[0] = monotonic()
        measured = "".join(f"  {name} {value:.4f}" for name, value in p.metrics.items())
        if not p.step:
            note(f"before training:{measured}")
            return
        note(
            f"step {p.step:,}/{p.steps:,}  loss {p.loss:.4f}  {p.pairs_per_second:.0f} pairs/s  "
            f"{p.seconds_left / 60:.1f} min left{measured}"
        )

    return tell


def _report(outcome: Outcome) -> None:
    for table in outcome.tables:
        echo(f"{table.name}, {table.queries:,} queries, top {table.depth} rescored\n")
        echo(table.markdown() + "\n")
    note(f"{outcome.model}: the model, with its card in README.md")


_PROGRAM = "import sys; from twopass.pipeline.apps.cli import main; sys.exit(main())"
_POLL = 0.1  # seconds


def _run_in_processes(count: int, arguments: Sequence[str]) -> int:
    """Run ``twopass`` in several processes, as ``torchrun`` would, and return their exit status.

    The processes find each other by the environment variables that torch reads. Ctrl-C reaches
    them as well; SIGTERM is passed on. When one fails, the others are ended, because they would
    wait for it.
    """
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(_threads(count))),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]

    def pass_on(number: int, _: Any) -> None:
        if number == signal.SIGTERM:
            _end(running)

    before = {n: signal.signal(n, pass_on) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _status(running)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(running: Sequence[subprocess.Popen[bytes]]) -> int:
    while any(process.poll() is None for process in running):
        failed = [p.returncode for p in running if p.returncode not in (None, 0, 130)]
        if failed:
            _end(running)
            for process in running:
                process.wait()
            return _shell_status(int(failed[0]))
        sleep(_POLL)
    return max(_shell_status(process.returncode) for process in running)


def _shell_status(status: int) -> int:
    """Return a shell's exit status for a process that a signal ended."""
    return 128 - status if status < 0 else status


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in running:
        if process.poll() is None:
            process.terminate()


def _threads(count: int) -> int:
    return max(1, (os.cpu_count() or 1) // count)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
