"""``twopass delete``: delete documents from an index."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from twopass.pipeline.apps.cli.arguments import add_command
from twopass.pipeline.apps.cli.output import note

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass delete --index my-index doc-17 doc-18
  twopass delete --index my-index - < ids.txt          one id per line
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "delete", help="delete documents by id", examples=_EXAMPLES)
    parser.set_defaults(run=run)
    parser.add_argument("--index", required=True, metavar="DIR", help="the index's folder")
    parser.add_argument(
        "ids", nargs="+", metavar="ID", help="document ids; - reads them from standard input"
    )


def run(arguments: Namespace) -> None:
    """Delete the documents and print how many existed."""
    from twopass.retriever.index.index import BM25Index

    ids = arguments.ids
    if ids == ["-"]:
        ids = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    with BM25Index.open(arguments.index) as index:
        deleted = index.delete(ids)
        left = len(index)
    note(f"{arguments.index}: {deleted:,} of {len(ids):,} deleted, {left:,} documents left")
