"""``twopass rerank``: rerank a run file."""

from __future__ import annotations

import gzip
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from twopass.pipeline.apps.cli.arguments import (
    FUSION_HELP,
    MODEL_HELP,
    add_command,
    count,
    read_settings,
)
from twopass.pipeline.apps.cli.output import note, progress

if TYPE_CHECKING:
    from twopass.pipeline.apps.bulk import Progress
    from twopass.pipeline.apps.bulk.job import Runner

__all__ = ["add_parser", "run"]

_EVERY = 30.0  # seconds between two lines of a log
_EXAMPLES = """\
  twopass rerank --run bm25.trec --corpus corpus.jsonl --queries queries.jsonl --out better.trec
  twopass rerank --run bm25.trec --corpus my-index --queries q.tsv --out better.trec
  twopass rerank ... --ray auto               on a Ray cluster

After an interruption, the same command continues where it stopped.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "rerank", help="rerank a run file of any size", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("--run", required=True, metavar="FILE", dest="run_file", help="a TREC run")
    parser.add_argument(
        "--corpus",
        required=True,
        metavar="PATH",
        help="the documents: an index's folder, or corpus files",
    )
    parser.add_argument(
        "--queries", required=True, metavar="FILE", help="the queries: JSON Lines, or 'id TAB text'"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--model", metavar="NAME", help=MODEL_HELP)
    parser.add_argument("--fusion", metavar="METHOD", help=FUSION_HELP)
    parser.add_argument(
        "--shard",
        type=count,
        default=10_000,
        metavar="N",
        help="pairs per shard (10,000); a shard is repeated after an interruption",
    )
    parser.add_argument("--tag", default="twopass", help="the run's name in the file (twopass)")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="run on a Ray cluster (default address: a local one)",
    )


def run(arguments: Namespace) -> None:
    """Rerank, or continue an interrupted run."""
    from twopass.pipeline.apps.bulk import BulkJob, rerank_run
    from twopass.pipeline.errors import BulkError

    settings = read_settings(arguments)
    out = Path(arguments.out)
    if out.exists() and not arguments.overwrite:
        raise BulkError(
            f"{out}: expected no file, found one; choose another name or pass --overwrite"
        )
    folder = out.with_name(f"{out.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    job = BulkJob(
        run=_plain(Path(arguments.run_file), folder),
        texts=_texts(Path(arguments.corpus), folder),
        queries=Path(arguments.queries),
        folder=folder,
        settings=settings,
        tag=arguments.tag,
    )
    with _progress() as report:
        state = rerank_run(
            job, out, size=arguments.shard, runner=_runner(arguments.ray), progress=report
        )
    again = f", {state.before:,} of them from before" if state.before else ""
    note(f"{out}: {state.pairs:,} pairs{again}")


def _plain(run: Path, folder: Path) -> Path:
    """Decompress a gzipped run, because its parts cannot be read separately."""
    if run.suffix != ".gz":
        return run
    plain = folder / run.stem
    if not plain.is_file():
        partial = plain.with_name(f".{plain.name}.partial")
        with gzip.open(run, "rb") as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        partial.replace(plain)
    return plain


def _texts(corpus: Path, folder: Path) -> Path:
    """Return an index's folder, or a database of a corpus' texts, created once."""
    from twopass.pipeline.apps.bulk.inputs import make_texts
    from twopass.retriever.corpus import read_documents

    if (corpus / "manifest.json").is_file():
        return corpus
    file = folder / "texts.sqlite"
    if not file.is_file():
        with progress("reading", "documents") as done:
            make_texts(read_documents(corpus), file, done)
    return file


def _runner(ray: str | None) -> Runner:
    from twopass.pipeline.apps.bulk.job import run_locally

    if ray is None:
        return run_locally
    from twopass.pipeline.apps.bulk.on_ray import run_on_ray

    return run_on_ray(None if ray == "local" else ray)


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show a progress bar on a terminal, else a line every 30 seconds with the time left."""
    started, last = monotonic(), [monotonic()]

    def report(state: Progress) -> None:
        new, now = state.done - state.before, monotonic()
        if not new or now - last[0] < _EVERY:
            return
        last[0] = now
        left = (now - started) / new * (state.pairs - state.done)
        note(f"{state.done:,} of {state.pairs:,} pairs, {_duration(left)} left")

    if not sys.stderr.isatty():
        yield report
        return
    with progress("reranking", "pairs") as bar:
        yield lambda state: bar(state.done, state.pairs)


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
