"""The command line: parses arguments, runs a command, returns an exit status.

Nothing heavy is imported here or at the top of a command's module, so that ``twopass --help``
answers at once. The exit status is 0 for success, 2 for a user's error (one line on standard
error), 130 for an interruption, 141 when the reader of the output has closed it.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from twopass.pipeline.apps.cli import (
    calibrate,
    delete,
    demo,
    evaluate,
    explain,
    export,
    export_model,
    index,
    info,
    rerank,
    search,
    serve,
    settings,
    train,
    tune,
)
from twopass.pipeline.apps.cli.output import configure_logging, echo, note, prepare_output

__all__ = [
    "build_parser",
    "main",
]


_COMMANDS = (
    index,
    search,
    explain,
    evaluate,
    tune,
    train,
    calibrate,
    rerank,
    info,
    delete,
    export,
    export_model,
    serve,
    settings,
    demo,
)

_ADVICE = {"NotAnIndexError": "'twopass index CORPUS --out DIR' builds one"}

_EPILOG = """\
examples:
  twopass demo                                               try it on a small built-in corpus
  twopass index corpus.jsonl --out my-index                  build an index
  twopass search --index my-index "can you catch shingles?"  search it
  twopass evaluate --data scifact --split test               measure the gain

Settings are read from arguments, TWOPASS_* environment variables and twopass.toml; the first wins.
'twopass COMMAND --help' describes a command; 'twopass settings' lists all settings.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(given, Namespace(given=given))
    prepare_output()
    configure_logging(arguments.debug)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except BrokenPipeError:
        # Otherwise Python would report the same again when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if arguments.debug or not _is_users(error):
            raise
        return _say(f"error: {_message(error)}{_advice(error, arguments)}", 2)
    return 0


_CHOICE = re.compile(r"invalid choice: '([^']*+)' \(choose from ([^)]*+)\)")
_WORD = re.compile(r"[\w-]+")


class _Parser(ArgumentParser):
    """Reports a mistake in one line, without the usage, with the nearest of the known words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        if found := _CHOICE.search(message):
            from difflib import get_close_matches

            near = get_close_matches(found[1], _WORD.findall(found[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        raise SystemExit(_say(f"error: {message} (see {self.prog} --help)", 2))


class _Version(Action):
    def __call__(self, parser: ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        echo(f"twopass {version('twopass')}")
        parser.exit()


def build_parser() -> ArgumentParser:
    """Return the parser of the command line with all its commands."""
    parser = _Parser(
        prog="twopass",
        description="Two-stage search: BM25 candidates, cross-encoder scores, one fused ranking.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def _is_users(error: Exception) -> bool:
    from twopass.pipeline.errors import PipelineError
    from twopass.reranker.contract.errors import RerankerError
    from twopass.retriever.errors import RetrieverError

    return isinstance(error, PipelineError | RerankerError | RetrieverError | OSError)


def _advice(error: Exception, arguments: Namespace) -> str:
    """Return what the library cannot know: which command or option helps."""
    known = _ADVICE | getattr(arguments, "advice", {})
    found = (known[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in known)
    return next((f" ({text})" for text in found), "")


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return " ".join(text.split())


def _say(message: str, status: int) -> int:
    note(f"twopass: {message}")
    return status
