"""``twopass info``: describe an index."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from twopass.pipeline.apps.cli.arguments import add_command
from twopass.pipeline.apps.cli.output import echo

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
  twopass info my-index
  twopass info my-index --verify          read all files and compare checksums
  twopass info my-index --json | jq .documents
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "info", help="show an index's size, analyzer and formula", examples=_EXAMPLES
    )
    parser.set_defaults(run=run)
    parser.add_argument("index", metavar="DIR", help="the index's folder")
    parser.add_argument("--verify", action="store_true", help="check the checksums of all files")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> None:
    """Print the index's facts."""
    from twopass.retriever.index.index import BM25Index

    with BM25Index.open(arguments.index) as index:
        info = index.info()
        if arguments.verify:
            index.verify()
            info["verified"] = True
    if arguments.json:
        echo(json.dumps(info, ensure_ascii=False))
        return
    width = max(map(len, info))
    for name, value in info.items():
        echo(f"{name:{width}}  {_shown(value)}")


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case dict():
            return ", ".join(f"{name}={_shown(member)}" for name, member in value.items())
        case list():
            return ", ".join(map(_shown, value)) or "none"
        case _:
            return str(value)
