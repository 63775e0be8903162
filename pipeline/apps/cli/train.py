"""``twopass train``: train a cross-encoder on a corpus, in one process or several."""

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
      trains the shipped model further, with negatives from BM25; measures on the dev split
  twopass train --data corpus --index my-index --recipe gooaq-bce --positives 0.17 --out my-model
      the recipe of the model's card, with negatives from your own index
  twopass train --data corpus --model MiniLM --layers 3 --teacher twopass/default \\
      --recipe distill --out small-model
      a smaller model that learns the scores of a larger one
  twopass train --config train.toml --out my-model
      all settings in a file: section [train], data as [[train.data]]

When interrupted with Ctrl-C it writes a checkpoint; the same command continues from it and gives
the same model. Recipes and all settings are described in docs/training.md.
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
        commands, "train", help="train a cross-encoder on your own corpus", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("--out", required=True, metavar="DIR", help="the model's folder")
    parser.add_argument("--restart", action="store_true", help="start again, ignoring a checkpoint")
    _add_data(parser)
    _add_model(parser)


def _add_data(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("data and negatives")
    group.add_argument(
        "--data", nargs="+", metavar="PATH", help="BEIR folders, or JSON Lines files of examples"
    )
    group.add_argument("--split", metavar="NAME", help="qrels to train on (train)")
    group.add_argument("--dev-split", metavar="NAME", help="qrels to measure on (dev)")
    group.add_argument(
        "--queries", type=count, metavar="N", help="training queries per folder (all)"
    )
    group.add_argument(
        "--dev-queries", type=count, metavar="N", help="development queries per folder (100)"
    )
    group.add_argument("--root", metavar="DIR", help="base folder for relative paths of --data")
    group.add_argument(
        "--index", metavar="DIR", help="an existing index of the corpus, to find negatives"
    )
    group.add_argument("--negatives", metavar="N", help="negatives per relevant passage (7)")
    group.add_argument(
        "--positives",
        metavar="X",
        help="share of relevant pairs, instead of --negatives (0.17 on the card)",
    )
    group.add_argument(
        "--teacher",
        nargs="+",
        metavar="MODEL",
        dest="teachers",
        help="models whose scores are learned",
    )
    group.add_argument(
        "--filter-margin",
        metavar="X",
        help="drop negatives that teachers score within this margin of the relevant passage",
    )
    group.add_argument(
        "--leaks",
        choices=("report", "drop", "error"),
        help="what to do about development texts in training (report)",
    )


def _add_model(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("model and recipe")
    group.add_argument(
        "--model", metavar="NAME", dest="from_model", help="model to start from (twopass/default)"
    )
    group.add_argument(
        "--layers", type=count, metavar="N", help="keep only this number of its layers"
    )
    group.add_argument(
        "--hidden", type=count, metavar="N", help="train a new, smaller model of this width"
    )
    group.add_argument("--models", metavar="DIR", help="folder with local copies of hub models")
    group.add_argument("--recipe", metavar="NAME", help="default, gooaq-bce, listwise or distill")
    group.add_argument(
        "--loss", metavar="NAME", help="bce, softmax, margin-mse, distill, ranknet or lambda"
    )
    group.add_argument("--epochs", metavar="X", help="passes over the examples")
    group.add_argument("--batch-size", metavar="N", help="pairs (bce) or lists per step")
    group.add_argument("--learning-rate", metavar="X", dest="rate", help="peak learning rate")
    group.add_argument("--max-length", type=count, metavar="N", help="maximum tokens per pair")
    group.add_argument("--seed", metavar="N", help="random seed (12)")
    group.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, ... (default: the best available)"
    )
    group.add_argument("--threads", type=count, metavar="N", help="torch threads on the CPU")
    group.add_argument(
        "--processes", type=count, metavar="N", help="number of processes, usually one per GPU"
    )
    group.add_argument(
        "--country", metavar="ISO", help="measure CO2 emissions for this country, as DEU"
    )
    group.add_argument("--push", metavar="NAME", help="upload the model to the hub, as user/model")
    group.add_argument("--name", metavar="NAME", help="the model's name on its card")


def run(arguments: Namespace) -> None:
    """Train and print the results."""
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
        return  # only the first of several processes reports
    _report(outcome)
    if arguments.push:
        from twopass.reranker.training.hub import push

        note(f"{push(outcome.model, arguments.push)}: published")


def _take_settings(arguments: Namespace) -> None:
    """Add the command's own arguments to the given settings."""
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
    """Return a function that prints a line every few seconds, which suits logs and terminals."""
    last = [0.0]

    def report(p: Progress) -> None:
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

    return report


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
